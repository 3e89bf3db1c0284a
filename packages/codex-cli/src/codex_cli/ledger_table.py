"""A ledger for a person: one line for each entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.digest import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from codex_core.ledger import LedgerEntry

_HEADINGS = ("entry", "time (UTC)", "verdict", "verb", "stage", "rule", "url")


def describe_entries(entries: Sequence[LedgerEntry]) -> str:
    """The entries as a table, the oldest first; what is no decision shows its kind and its body."""
    if not entries:
        return "no entries"
    rows = [_HEADINGS, *(_row(entry) for entry in entries)]
    decisions = [row for row in rows if len(row) == len(_HEADINGS)]
    widths = [max(map(len, column)) for column in zip(*decisions, strict=True)]
    return "\n".join(_line(row, widths) for row in rows)


def select(entries: Iterable[LedgerEntry], *, last: int | None, verdict: str | None) -> list[LedgerEntry]:
    """The ``last`` (None: all) of ``entries`` that are decisions with this verdict (None: any entry)."""
    chosen = [entry for entry in entries if verdict is None or entry.body.get("verdict") == verdict]
    return chosen if last is None else chosen[-last:]


def _row(entry: LedgerEntry) -> tuple[str, ...]:
    head = (str(entry.seq), entry.at.replace("T", " ").partition(".")[0])
    if entry.kind != "decision":
        return (*head, f"{entry.kind} {canonical_json(entry.body).decode()}")
    names = ("verdict", "verb", "stage", "rule", "url")
    return (*head, *(_printable(entry.body.get(name)) for name in names))


def _printable(value: object) -> str:
    """A value of a decision in one line, without the control characters that a request may have held."""
    return "-" if value is None else "".join(char if char.isprintable() else "?" for char in str(value))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)).rstrip()
