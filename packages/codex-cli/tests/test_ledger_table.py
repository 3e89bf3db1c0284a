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


def test_selection_is_by_verdict_and_then_from_the_end() -> None:
    entries = [
        entry(number, "decision", verdict=verdict) for number, verdict in enumerate(("allow", "refuse", "allow"))
    ]
    assert select(entries, last=None, verdict=None) == entries
    assert select(entries, last=2, verdict=None) == entries[1:]
    assert select(entries, last=1, verdict="refuse") == [entries[1]]
