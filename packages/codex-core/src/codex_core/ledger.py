"""The ledger: what was decided, in a hash-chained NDJSON file that any number of processes append to.

A writer that is killed can leave a cut line at the end. It is kept: the next append ends it with a newline and first
writes an entry of the kind ``torn``, which says how many bytes are damaged and what their sha256 is. Damaged lines that
no such entry follows break the chain.

The chain shows every change and every cut, but for the loss of whole entries at the end, and but for a user of the
machine who writes the chain anew: against those, only a head kept elsewhere proves something.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core._chain import LONGEST_LINE, TORN, Damage, Fault, LedgerEntry, Tail, follow, parse_line, seal
from codex_core.digest import open_regular
from codex_core.durable import sync_folder
from codex_core.errors import LedgerDamaged, LedgerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

__all__ = ["TORN", "Ledger", "LedgerEntry", "LedgerReport", "read", "verify"]

_BLOCK = 2**13
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OWNER_ONLY = 0o600
_PATIENCE = 10.0
"""Seconds for which somebody else's lock is waited for; an append holds it for milliseconds."""


@dataclass(frozen=True)
class LedgerReport:
    """What ``verify`` found: the entries up to the first bad line, the last one's hash, and that line, from 1.

    ``bad_line`` and ``reason`` are None if the chain holds. ``reason`` is ``torn`` if the file ends inside a line.
    ``torn`` counts the entries that mark damaged lines, which do not break the chain. ``missed`` is the number of the
    first entry that was noted elsewhere and is another one here, or is not here.
    """

    entries: int
    head: str | None
    bad_line: int | None = None
    reason: str | None = None
    torn: int = 0
    missed: int | None = None


class Ledger:
    """Appends to the ledger at ``path``. It may be shared by threads, and lives on in a forked child.

    The file is opened for each append and locked (flock) while it is written: nothing is held in between, so that
    nothing is inherited. The first append creates it, and its folder where there is none, readable by its owner alone:
    it tells which endpoints and files were asked for. Who may read it later is the owner's choice.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._last = Tail()

    def append(self, kind: str, body: Mapping[str, object], *, at: datetime, sync: bool = False) -> LedgerEntry:
        """Append an entry; with ``sync`` it is on the disk when this returns. ``at`` is an aware time.

        LedgerUnavailable, with the file as it was, if that cannot be done. DigestError if ``body`` has no canonical
        JSON. ValueError for the kind ``torn``, which is the ledger's own.
        """
        if kind == TORN:
            raise ValueError(f"the kind {TORN!r} marks damaged lines; give the entry another one")
        try:
            with _locked(self.path) as descriptor:
                return self._append(descriptor, _utc(at), kind, body, sync)
        except OSError as error:
            message = f"the {kind} entry could not be appended to the ledger {self.path}: {error.strerror}"
            hint = "nothing was recorded; make room, or make the path a file that can be written, and try again"
            raise LedgerUnavailable(message, hint=hint) from error

    def head(self) -> tuple[int, str | None]:
        """How many entries there are, and the hash of the last one: 0 and None where there is no file yet."""
        try:
            with open_regular(self.path) as stream:
                size = _settled_size(stream.fileno())
                _, tail = self._tail(stream.fileno(), size)
        except FileNotFoundError:
            return 0, None
        return tail.seq, tail.hash

    def _append(self, descriptor: int, at: str, kind: str, body: Mapping[str, object], sync: bool) -> LedgerEntry:
        size = os.fstat(descriptor).st_size
        end, tail = self._tail(descriptor, size)
        newline = b"" if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n" else b"\n"
        mark = b""
        if end < size:
            damage = _measure(descriptor, end, size)
            damage.add(newline)
            marking, mark = seal(tail.seq + 1, tail.hash, at, TORN, damage.body())
            tail = Tail(marking.seq, marking.hash)
        entry, line = seal(tail.seq + 1, tail.hash, at, kind, body)
        if len(line) > LONGEST_LINE:
            raise OSError(errno.EFBIG, f"it is longer than {LONGEST_LINE} bytes")
        _write(descriptor, newline + mark + line, size, sync=sync)
        self._last = Tail(entry.seq, entry.hash, line)
        return entry

    def _tail(self, descriptor: int, size: int) -> tuple[int, Tail]:
        """Where the last good line ends, and that line: most often the one that was appended here."""
        last = self._last
        start = size - len(last.line)
        if last.line and start >= 0 and os.pread(descriptor, len(last.line), start) == last.line:
            return size, last
        return _find_tail(descriptor, size)


def read(path: str | os.PathLike[str]) -> Iterator[LedgerEntry]:
    """The entries of the ledger at ``path``, each checked; LedgerDamaged at the first bad line.

    FileNotFoundError, or another OSError as open(2) says; DigestError if it is a link or a special file.
    """
    for found in _check(path):
        if isinstance(found, Fault):
            message = f"{os.fspath(path)}:{found.line}: the ledger's chain is broken: {found.reason}"
            raise LedgerDamaged(message, bad_line=found.line, hint=hint_of(found.reason))
        yield found


def hint_of(reason: str | None) -> str:
    """What a person is to make of a line that is bad for ``reason``."""
    if reason == TORN:
        return "the last line was cut while it was written; the next append marks it"
    return "keep the file as it is; what stands before this line can be relied on"


def verify(path: str | os.PathLike[str], *, heads: Mapping[int, str] | None = None) -> LedgerReport:
    """Check the ledger at ``path`` line by line; its errors are those of ``read``, but for LedgerDamaged.

    ``heads`` are hashes of entries, by their numbers, that were noted elsewhere: with them, a loss of whole entries at
    the end shows, and a chain that was written anew.
    """
    entries, head, torn = 0, None, 0
    missed = set(heads or ())
    for found in _check(path):
        if isinstance(found, Fault):
            return LedgerReport(entries, head, found.line, found.reason, torn)
        entries, head, torn = found.seq, found.hash, torn + (found.kind == TORN)
        if heads and heads.get(entries) == head:
            missed.discard(entries)
    return LedgerReport(entries, head, torn=torn, missed=min(missed, default=None))


def _check(path: str | os.PathLike[str]) -> Iterator[LedgerEntry | Fault]:
    with open_regular(path) as raw, open(raw.fileno(), "rb", closefd=False) as stream:
        size = _settled_size(raw.fileno())
        yield from follow(stream, size)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor of the file, which is created where there is none, while no one else holds its lock."""
    removed = True
    while removed:
        descriptor = _open(path)
        try:
            _lock(descriptor, fcntl.LOCK_EX)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            removed = status.st_nlink == 0  # while this waited for the lock
            if not removed:
                yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing would leave it to a child forked meanwhile
            os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, _APPEND)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, _APPEND | os.O_CREAT, _OWNER_ONLY)
        sync_folder(path.parent)  # fdatasync of the file need not put its name on disk
        return descriptor


def _settled_size(descriptor: int) -> int:
    """The size of the file while no one is in the midst of an append."""
    with suppress(BlockingIOError):  # who holds the lock for so long is in the midst of no append
        _lock(descriptor, fcntl.LOCK_SH)
    try:
        return os.fstat(descriptor).st_size
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _lock(descriptor: int, kind: int) -> None:
    """flock(2), for which a reader of the file is enough: so nobody is waited for without an end."""
    deadline, pause = time.monotonic() + _PATIENCE, 0.0005
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BlockingIOError(
                    errno.EWOULDBLOCK, f"somebody has locked it for {_PATIENCE:.0f} seconds"
                ) from None
            time.sleep(pause)
            pause = min(2 * pause, 0.02)
        else:
            return


def _find_tail(descriptor: int, size: int) -> tuple[int, Tail]:
    """Where the last good line ends, and that line, read backwards from the end; only the newline may lack."""
    end = size
    while end > 0:
        start = _line_start(descriptor, end)
        if end - start <= LONGEST_LINE:
            line = os.pread(descriptor, end - start, start)
            entry = parse_line(line if line.endswith(b"\n") else line + b"\n")
            if isinstance(entry, LedgerEntry):
                return end, Tail(entry.seq, entry.hash, line)
        end = start
    return 0, Tail()


def _line_start(descriptor: int, end: int) -> int:
    """Where the line begins that ends at ``end``, with or without its newline."""
    position = end - 1
    while position > 0:
        begin = max(0, position - _BLOCK)
        newline = os.pread(descriptor, position - begin, begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        position = begin
    return 0


def _measure(descriptor: int, start: int, end: int) -> Damage:
    damage = Damage()
    while start < end and (data := os.pread(descriptor, min(end - start, _BLOCK), start)):
        damage.add(data)
        start += len(data)
    return damage


def _write(descriptor: int, data: bytes, size: int, *, sync: bool) -> None:
    """Append ``data`` to the file of ``size`` bytes, all of it or nothing."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fdatasync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise
