"""What the commands show to a person: aligned columns, and names that cannot fool a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """The rows in columns."""
    widths = [max(len(shown(cell)) for cell in column) for column in zip(*rows, strict=True)]
    lines = ("  ".join(shown(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def shown(name: str) -> str:
    """``name`` as it is, or quoted and escaped if a terminal would not show it so."""
    return name if name.isprintable() else ascii(name)
