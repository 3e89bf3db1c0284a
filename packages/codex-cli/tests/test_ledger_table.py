"""What the ledger's table promises: one line for each entry, whatever a request's text held."""

from __future__ import annotations

from codex_cli.ledger_table import describe_entries, select
from codex_core.ledger import LedgerEntry


def entry(seq: int, kind: str, **body: object) -> LedgerEntry:
    return LedgerEntry(seq, None, "2026-05-04T12:30:00.000000Z", kind, body, "sha256:00")


def test_entries_that_are_no_decisions_show_kind_and_body() -> None:
    entries = [entry(1, "torn", bytes=3), entry(2, "decision", verdict="refuse", verb="read", stage="s", url="u")]
    assert describe_entries(entries).splitlines() == [
        "entry  time (UTC)           verdict  verb  stage  rule  url",
        '1      2026-05-04 12:30:00  torn {"bytes":3}',
        "2      2026-05-04 12:30:00  refuse   read  s      -     u",
    ]


def test_control_characters_of_a_request_do_not_reach_the_terminal() -> None:
    text = describe_entries([entry(1, "decision", verdict="refuse", url="a\x1b[2J\nb")])
    assert text.splitlines()[1:] == ["1      2026-05-04 12:30:00  refuse   -     -      -     a?[2J?b"]


def test_what_was_moved_counted_and_looked_up_has_rows_of_its_own() -> None:
    grant = {"stage": "s", "rule": "hub", "origin": "https://a.example:443", "verb": "connect"}
    entries = [
        entry(1, "grant", **grant, connections=1, sent=2, received=30),
        entry(2, "repeated", verdict="refuse", verb="read", stage="s", url="http://b.example:80/", times=5),
        entry(3, "lookup", stage="s", name="c.example", times=2),
    ]
    assert [line[28:] for line in describe_entries(entries).splitlines()] == [
        "verdict  verb     stage  rule  url",
        "allow    connect  s      hub   https://a.example:443  1 connection, 2 bytes out, 30 in",
        "refuse   read     s      -     http://b.example:80/  5 more times",
        "refuse   -        s      -     c.example  looked up",
    ]
    assert select(entries, verdict="refuse") == entries[1:]
    assert select(entries, host="*.example") == entries
    assert select(entries, host="A.example") == entries[:1]
    assert select(entries, stage="t") == []


def test_selection_is_by_verdict_and_then_from_the_end() -> None:
    entries = [
        entry(number, "decision", verdict=verdict) for number, verdict in enumerate(("allow", "refuse", "allow"))
    ]
    assert select(entries) == entries
    assert select(entries, last=2) == entries[1:]
    assert select(entries, last=1, verdict="refuse") == [entries[1]]


def test_what_was_not_opened_is_found_by_its_host_and_is_no_verdict() -> None:
    place = {"origin": "http://127.0.0.1:8740", "rule": "pull", "why": "is only for fetch"}
    entries = [
        entry(1, "unanswered", stage="s", times=2, of=[place]),
        entry(2, "unanswered", stage="s", times=1, of=[]),
        entry(3, "broker_ended", stage="s"),
    ]
    assert [line[28:] for line in describe_entries(entries).splitlines()[1:]] == [
        (
            "-        -     s      -     -  2 connections to its own loopback that nobody took;"
            " http://127.0.0.1:8740 of the host: rule 'pull' is only for fetch"
        ),
        "-        -     s      -     -  1 connection to its own loopback that nobody took",
        "-        -     s      -     -  the broker ended, and from then on everything was refused",
    ]
    assert select(entries, host="127.0.0.1") == entries[:1]
    assert select(entries, verdict="refuse") == []
