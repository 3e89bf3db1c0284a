"""A ledger for a person: one line for each entry."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from codex_core.digest import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from codex_core.ledger import LedgerEntry

_HEADINGS = ("entry", "time (UTC)", "verdict", "verb", "stage", "rule", "url")
_VERDICTS = {"grant": "allow", "lookup": "refuse", "unrouted": "refuse"}
"""What is said of entries that are no Decisions: traffic was allowed, a name that was looked up was not known, a
packet had no route."""


def describe_entries(entries: Sequence[LedgerEntry]) -> str:
    """The entries as a table, the oldest first; what is nobody's wish shows its kind and its body."""
    if not entries:
        return "no entries"
    rows = [_HEADINGS, *(_row(entry) for entry in entries)]
    whole = [row for row in rows if len(row) == len(_HEADINGS)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def select(
    entries: Iterable[LedgerEntry],
    *,
    last: int | None = None,
    verdict: str | None = None,
    stage: str | None = None,
    host: str | None = None,
) -> list[LedgerEntry]:
    """The ``last`` of ``entries`` with this verdict, stage and host, in which ``*`` may stand for any letters."""
    chosen = [
        entry
        for entry in entries
        if (verdict is None or _verdict(entry) == verdict)
        and (stage is None or entry.body.get("stage") == stage)
        and (host is None or any(fnmatchcase(one, host.lower()) for one in _hosts(entry)))
    ]
    return chosen if last is None else chosen[-last:]


def _verdict(entry: LedgerEntry) -> object:
    return entry.body.get("verdict") or _VERDICTS.get(entry.kind)


def _hosts(entry: LedgerEntry) -> list[str]:
    """The hosts that an entry is about; an empty one where it is about none."""
    places = [place.get("origin") for place in _places(entry)]
    return [_host(one) for one in (entry.body, *({"origin": place} for place in places))]


def _host(body: Mapping[str, object]) -> str:
    url = body.get("url") or body.get("origin")
    if url is None:
        return str(body.get("name") or "")
    try:
        return urlsplit(str(url)).hostname or ""
    except ValueError:
        return ""


def _places(entry: LedgerEntry) -> list[Mapping[str, object]]:
    """The places on the host's loopback that an entry names."""
    places = entry.body.get("of")
    return [one for one in places if isinstance(one, dict)] if isinstance(places, list) else []


def _row(entry: LedgerEntry) -> tuple[str, ...]:
    head = (str(entry.seq), entry.at.replace("T", " ").partition(".")[0])
    body = entry.body
    if entry.kind not in {"decision", "repeated", "grant", "lookup", "unrouted", "unanswered", "broker_ended"}:
        return (*head, f"{entry.kind} {canonical_json(body).decode()}")
    where = body.get("url") or body.get("origin") or body.get("name")
    cells = (_verdict(entry), body.get("verb"), body.get("stage"), body.get("rule"), where)
    return (*head, *map(_printable, cells[:-1]), f"{_printable(where)}{_amount(entry)}")


def _amount(entry: LedgerEntry) -> str:
    """How much an entry stands for, if for more than one Decision."""
    body = entry.body
    if entry.kind == "grant":
        connections = f"{body.get('connections')} connection{'' if body.get('connections') == 1 else 's'}"
        return f"  {connections}, {body.get('sent')} bytes out, {body.get('received')} in"
    if entry.kind == "repeated":
        return f"  {body.get('times')} more times"
    if entry.kind == "unrouted":
        return f"  {body.get('times')} packet{'' if body.get('times') == 1 else 's'} without a route"
    if entry.kind == "unanswered":
        times = body.get("times")
        closed = "".join(
            f"; {one.get('origin')} of the host: rule {one.get('rule')!r} {one.get('why')}" for one in _places(entry)
        )
        return (
            f"  {times} connection{'' if times == 1 else 's'} to its own loopback that nobody took{_printable(closed)}"
        )
    if entry.kind == "broker_ended":
        return "  the broker ended, and from then on everything was refused"
    return "  looked up" if entry.kind == "lookup" else ""


def _printable(value: object) -> str:
    """A value of a decision in one line, without the control characters that a request may have held."""
    return "-" if value is None else "".join(char if char.isprintable() else "?" for char in str(value))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip()
