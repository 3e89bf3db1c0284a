"""What ``codex store`` shows to a person: aligned columns, sizes in binary units, keys that cannot fool a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_core.storage import ObjectInfo

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def object_table(objects: Sequence[ObjectInfo]) -> str:
    """One line for each object, and the sums."""
    known = any(info.digest for info in objects)
    rows = [(readable_size(info.size), *([info.digest or "-"] if known else []), shown(info.key)) for info in objects]
    noun = "object" if len(objects) == 1 else "objects"
    total = f"{len(objects)} {noun}, {readable_size(sum(info.size for info in objects))}"
    return f"{table(rows, right=1)}\n{total}" if rows else total


def table(rows: Sequence[tuple[str, ...]], *, right: int = 0) -> str:
    """The rows in columns, of which the first ``right`` are set flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index < right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def readable_size(size: int) -> str:
    """``size`` in bytes with three digits or so: ``12 B``, ``3.4 MiB``."""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit and value < 99.95 else f"{value:.0f} {_UNITS[unit]}"


def shown(name: str) -> str:
    """``name`` as it is, or quoted and escaped if a terminal would not show it so."""
    return name if name.isprintable() else ascii(name)
