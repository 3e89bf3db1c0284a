"""The format of a ledger: its lines, what makes them a chain, and how damaged lines stand in it.

A line is the canonical JSON of ``{"at", "body", "hash", "kind", "prev", "seq"}`` and a newline. ``hash`` is the digest
of that object without ``hash``; ``prev`` is the hash of the entry before, null in the first; ``seq`` counts from 1;
``at`` is in UTC (RFC 3339). The line has no other spelling, so every byte of the file is checked.

Lines that are no entries are in their place only before an entry of the kind ``torn`` whose body names how many bytes
they have, newlines included, and their sha256. A ``torn`` entry that follows no such lines is out of its place.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from codex_core.digest import LARGEST_INTEGER, canonical_json, digest_bytes
from codex_core.sha256 import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from hashlib import _Hash

TORN = "torn"
"""The kind of the entry that marks damaged lines, and the reason in a report of a file that ends inside a line."""

LONGEST_LINE = 2**24
"""The longest line in bytes, with its newline: so much of a file is held in memory at a time, whatever it contains."""

_TYPES = {"seq": (int,), "prev": (str, type(None)), "at": (str,), "kind": (str,), "body": (dict,), "hash": (str,)}


@dataclass(frozen=True)
class LedgerEntry:
    """One line of a ledger. ``at`` is UTC as RFC 3339 writes it, ``prev`` and ``hash`` are ``sha256:<hex>``."""

    seq: int
    prev: str | None
    at: str
    kind: str
    body: Mapping[str, object]
    hash: str

    def to_json(self) -> dict[str, object]:
        """The object whose canonical JSON is the line."""
        return dict(vars(self))


@dataclass(frozen=True)
class Tail:
    """The last good entry of a file, and the bytes of its line; without one, the chain begins."""

    seq: int = 0
    hash: str | None = None
    line: bytes = b""


@dataclass(frozen=True)
class Fault:
    """The first line, from 1, that breaks the chain."""

    line: int
    reason: str


@dataclass
class Damage:
    """Lines that are no entries: the first one's number and what is wrong with it, and the bytes of them all.

    ``cut`` says that the last of them has no newline.
    """

    line: int = 0
    reason: str = ""
    size: int = 0
    cut: bool = False
    hashed: _Hash = field(default_factory=sha256)

    def add(self, data: bytes) -> None:
        """Count further bytes."""
        self.size += len(data)
        self.hashed.update(data)
        self.cut = not data.endswith(b"\n")

    def body(self) -> dict[str, object]:
        """What the ``torn`` entry that marks these bytes says of them."""
        return {"bytes": self.size, "sha256": self.hashed.hexdigest()}


def follow(stream: BinaryIO, size: int) -> Iterator[LedgerEntry | Fault]:
    """The entries in the first ``size`` bytes, up to the first line that breaks the chain, which comes last."""
    last, damage = Tail(), None
    for number, piece, is_line in _lines(stream, size):
        entry = parse_line(piece) if is_line else "it is longer than any entry"
        if isinstance(entry, str):
            damage = damage or Damage(number, entry)
            damage.add(piece)
            continue
        fault = _fault(last, damage, entry, number)
        if fault:
            yield fault
            return
        yield entry
        last, damage = Tail(entry.seq, entry.hash), None
    if damage:
        yield Fault(damage.line, TORN if damage.cut else damage.reason)


def _fault(last: Tail, damage: Damage | None, entry: LedgerEntry, number: int) -> Fault | None:
    follows = (entry.seq, entry.prev) == (last.seq + 1, last.hash)
    if damage:
        marked = follows and entry.kind == TORN and entry.body == damage.body()
        return None if marked else Fault(damage.line, damage.reason)
    if not follows:
        return Fault(
            number, f"entry {entry.seq} does not follow {f'entry {last.seq}' if last.seq else 'the beginning'}"
        )
    return Fault(number, "the damaged lines that it marks are not there") if entry.kind == TORN else None


def _lines(stream: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """The first ``size`` bytes in pieces: the number of the line each is of, and whether it is that line, whole."""
    number, begins = 1, True
    while size > 0 and (piece := stream.readline(min(size, LONGEST_LINE))):
        size -= len(piece)
        ends = piece.endswith(b"\n")
        yield number, piece, begins and ends
        number, begins = number + ends, ends


def parse_line(line: bytes) -> LedgerEntry | str:
    """The entry that ``line`` is, its newline included, or why it is none."""
    try:
        found = LedgerEntry(**json.loads(line, parse_int=_number))
        _, canonical = seal(found.seq, found.prev, found.at, found.kind, found.body)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return "it is not the JSON of an entry"
    if canonical != line or any(type(value) not in _TYPES[name] for name, value in vars(found).items()):
        return "it is not in canonical form, or its hash is not that of its content"
    return found


def _number(text: str) -> int | float:
    """A whole number as canonical JSON has it: beyond 2^53 it is a double, of which these are the shortest digits."""
    number = int(text)
    return number if abs(number) <= LARGEST_INTEGER else float(number)


def seal(seq: int, prev: str | None, at: str, kind: str, body: Mapping[str, object]) -> tuple[LedgerEntry, bytes]:
    """An entry with its hash, and its line. Its members' names sort in two groups, with ``hash`` between them."""
    before = canonical_json({"at": at, "body": body})[:-1]
    after = canonical_json({"kind": kind, "prev": prev, "seq": seq})[1:]
    digest = digest_bytes(before + b"," + after)
    return LedgerEntry(seq, prev, at, kind, body, digest), b'%b,"hash":"%b",%b\n' % (before, digest.encode(), after)
