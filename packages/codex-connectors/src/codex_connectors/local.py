"""The ``file`` store: a folder as a store, streamed, written atomically, and never left by ``..`` or by a link."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from codex_connectors.beneath import lstat_in, open_folder, refuse_special, split_key
from codex_connectors.drafts import Draft
from codex_connectors.faults import explain_faults
from codex_connectors.listing import describe, list_files
from codex_connectors.threads import in_thread
from codex_core.durable import sync_folder
from codex_core.errors import ObjectMissing, ShortRead, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator
    from pathlib import Path

    from codex_core.storage import ObjectInfo

CHUNK = 1 << 20
"""Bytes read at once: large enough that a worker thread's hop does not count, small enough to hold a few."""

_LISTED_AT_ONCE = 512


class LocalStore:
    """The files beneath the folder ``root``, as a Connector.

    Links and special files below the root are errors, in a listing as well, and so are names that are not UTF-8. Empty
    folders do not count. ``sync`` False leaves it to the caller to bring what was written to disk.
    """

    contract: ClassVar[int] = 1

    def __init__(self, root: Path, *, sync: bool = True) -> None:
        self.root = root
        self._sync = sync
        self._cleaned: set[str] = set()

    async def stat(self, key: str) -> ObjectInfo:
        """The object's info, with its digest, for which all of it is read."""
        source = _Source(self.root, key)
        digest = hashlib.sha256()
        try:
            while not source.done:
                await in_thread(source.feed, digest)
            return describe(key, source.found, f"sha256:{digest.hexdigest()}")
        finally:
            source.close()

    async def scan(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Every object whose key is ``prefix`` or lies below it, without digests; see ``listing.list_files``."""
        found = list_files(self.root, prefix)
        while batch := await in_thread(_take, found):
            for info in batch:
                yield info

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to ``end``, in chunks of at most 1 MiB.

        ShortRead if the file is shorter, or if it is changed in place before the last chunk is handed out. A file that
        is replaced meanwhile is read to its end as it was.
        """
        source = _Source(self.root, key, start, end)
        try:
            while not source.done:
                yield await in_thread(source.next)
        finally:
            source.close()

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, if_absent: bool = False) -> ObjectInfo:
        """Store ``chunks`` under ``key``: readers see the old object or the new one, whole, also after a crash."""
        draft = Draft(self.root, key, self._cleaned, if_absent=if_absent, sync=self._sync)
        last = b""  # goes with the publication, so that a small object costs one trip to a thread
        try:
            async for chunk in chunks:
                if last:
                    await in_thread(draft.add, last)
                last = chunk
            return await in_thread(draft.publish, last)
        finally:
            draft.discard()

    async def delete(self, key: str) -> None:
        """Remove the object; the folders that held it stay."""
        await in_thread(_delete, self.root, key)


class _Source:
    """A file being read: its size is fixed when it is opened, and it must be unchanged when its last byte is read."""

    def __init__(self, root: Path, key: str, start: int = 0, end: int | None = None) -> None:
        if start < 0 or (end is not None and end < start):
            raise UsageError(f"bytes {start} to {end} of {key!r} are not a range", hint="give 0 <= start <= end")
        self._root, self._key, self._start, self._end = root, key, start, end
        self._folders, self._name = split_key(key)
        self._file = -1
        self._left = 0
        self.done = False
        self.found: os.stat_result

    def next(self) -> bytes:
        """The next chunk: opens the file for the first; with the last it is closed and ``done``."""
        with explain_faults(self._root, self._key):
            if self._file < 0:
                self._open()
            chunk = os.read(self._file, min(CHUNK, self._left))
            self._left -= len(chunk)
            if not chunk and self._left:
                raise self._short("was cut")
            if not self._left:
                self._check_unchanged()
                self.close()
                self.done = True
            return chunk

    def feed(self, digest: hashlib._Hash) -> None:
        """Hash the next chunk."""
        digest.update(self.next())

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open_folder(self._root, self._folders) as folder:
            self._file = os.open(self._name, flags, dir_fd=folder)
        self.found = os.fstat(self._file)
        if stat.S_ISDIR(self.found.st_mode):
            raise ObjectMissing(
                f"{self._key!r} is a folder in {self._root}, not an object", hint="list it, or name a file in it"
            )
        if not stat.S_ISREG(self.found.st_mode):
            raise refuse_special(self._key, self.found)
        end = self.found.st_size if self._end is None else self._end
        if max(self._start, end) > self.found.st_size:
            raise self._short(f"has {self.found.st_size} bytes")
        self._left = end - self._start
        os.lseek(self._file, self._start, os.SEEK_SET)

    def _check_unchanged(self) -> None:
        now = os.fstat(self._file)
        same = (now.st_size, now.st_mtime_ns) == (self.found.st_size, self.found.st_mtime_ns)
        # A writer can set mtime back, but not ctime; that changes as well when the file is replaced and loses its name.
        if not same or (now.st_nlink == self.found.st_nlink and now.st_ctime_ns != self.found.st_ctime_ns):
            raise self._short("was changed")

    def _short(self, what: str) -> ShortRead:
        wanted = f"bytes {self._start} to {'the end' if self._end is None else self._end}"
        message = f"{self._key!r} in {self._root} {what} while {wanted} were read"
        return ShortRead(message, hint="read it again when nobody writes to it in place")


def _take(found: Iterator[ObjectInfo]) -> list[ObjectInfo]:
    return list(islice(found, _LISTED_AT_ONCE))


def _delete(root: Path, key: str) -> None:
    folders, name = split_key(key)
    with explain_faults(root, key, writing=True), open_folder(root, folders) as folder:
        found = lstat_in(folder, name)
        if found is None or stat.S_ISDIR(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not stat.S_ISREG(found.st_mode):
            raise refuse_special(key, found)
        os.unlink(name, dir_fd=folder)
        sync_folder(folder)
