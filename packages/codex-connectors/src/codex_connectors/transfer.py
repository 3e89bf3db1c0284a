"""Moving objects between a Connector and this machine's folders: streamed, checked, and many small ones at a time.

What was stored is checked against what was read, and that against what was listed: an object whose listing has a
digest must have that digest; where listings have none, a second listing at the end must show each object as the first
did. So a copy is of one state of the store, or it is an error that names the object that changed.

These functions ask the store as soon as they are called: a refusal is raised at once, before there is an event loop.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from codex_connectors.beneath import DRAFT_PREFIX
from codex_connectors.faults import explain_faults
from codex_connectors.local import LocalStore
from codex_connectors.selection import Selection
from codex_connectors.threads import in_thread
from codex_core.digest import FileEntry, sort_entries
from codex_core.errors import ObjectExists, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
    from pathlib import Path

    from codex_core.storage import Connector, ObjectInfo

    Progress = Callable[[int, int], None]
    Listing = AsyncIterator[ObjectInfo]
    Entries = Coroutine[Any, Any, tuple[FileEntry, ...]]  # Any: what the event loop sends, which is its own affair

T = TypeVar("T")

AT_ONCE = 8
"""Objects moved at the same time: a file of a few kilobytes is mostly waiting for threads, disks and networks."""


def list_objects(
    source: Connector, selection: Selection, *, digests: bool = True
) -> Coroutine[Any, Any, list[ObjectInfo]]:  # Any: as for Entries
    """The selected objects in the order of their keys; with ``digests``, what is listed without one is read for it."""
    return _list_objects(source, selection, source.scan(selection.prefix), digests)


def copy_folder(source: Connector, selection: Selection, folder: Path, *, progress: Progress | None = None) -> Entries:
    """Copy the selected objects into ``folder``, replacing files of the same name; returns what it wrote, sorted.

    A reader sees whole files, but nothing is synced: a machine that loses power may lose them. ``progress`` is told how
    many objects and bytes have been copied. The digest of the entries is that of a folder which holds just them.
    """
    return _copy_folder(source, selection, source.scan(selection.prefix), folder, progress)


def get_folder(source: Connector, selection: Selection, path: Path, *, progress: Progress | None = None) -> Entries:
    """Copy the selected objects into a new folder at ``path``, which appears whole or not at all.

    ObjectExists if there is something already. Not synced, as ``copy_folder``; a killed one leaves its draft beside it.
    """
    return _get_folder(source, selection, source.scan(selection.prefix), path, progress)


def get_object(
    source: Connector, key: str, path: Path, *, replace: bool = False
) -> Coroutine[Any, Any, FileEntry]:  # Any: as for Entries
    """Copy one object to the file ``path``, atomically and synced; ObjectExists if there is one, unless ``replace``."""
    target = _Target(LocalStore(path.parent), if_absent=not replace)
    return target.write(path.name, source.read(key))


def put_file(
    target: Connector, key: str, path: Path, *, if_absent: bool = False
) -> Coroutine[Any, Any, ObjectInfo]:  # Any: as for Entries
    """Store the file at ``path``, links followed, under ``key``."""
    path, read = path.resolve(), _Tally()
    chunks = read.count(LocalStore(path.parent).read(path.name))
    return _checked(target.write(key, chunks, if_absent=if_absent), read)


def put_folder(
    target: Connector, prefix: str, folder: Path, *, if_absent: bool = False, progress: Progress | None = None
) -> Entries:
    """Store every file below ``folder`` under ``prefix``; returns what it stored, with paths below the folder."""
    start = f"{prefix}/" if prefix else ""
    return _put_folder(LocalStore(folder.resolve()), _Target(target, start, if_absent), progress)


class _Tally:
    """Counts and hashes the chunks that pass."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()

    async def count(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.size += len(chunk)
            self._hash.update(chunk)
            yield chunk

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


@dataclass(frozen=True)
class _Target:
    """Where a copy goes: its keys begin with ``start``."""

    connector: Connector
    start: str = ""
    if_absent: bool = False

    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> FileEntry:
        read = _Tally()
        writing = self.connector.write(self.start + path, read.count(chunks), if_absent=self.if_absent)
        await _checked(writing, read)
        return FileEntry(path, read.size, read.digest)


class _Copied:
    """How much has been copied, told to whoever asked after each object."""

    def __init__(self, progress: Progress | None) -> None:
        self.objects = self.size = 0
        self._progress = progress

    def add(self, size: int) -> None:
        self.objects += 1
        self.size += size
        if self._progress is not None:
            self._progress(self.objects, self.size)


async def _checked(writing: Awaitable[ObjectInfo], read: _Tally) -> ObjectInfo:
    written = await writing
    if written.size != read.size or written.digest not in {None, read.digest}:
        stored = f"{written.size} bytes, {written.digest}"
        message = f"{written.key!r} was read as {read.size} bytes, {read.digest}, and stored as {stored}"
        raise StorageError(message, hint="store it again")
    return written


async def _list_objects(source: Connector, selection: Selection, listing: Listing, digests: bool) -> list[ObjectInfo]:
    async def known(info: ObjectInfo) -> ObjectInfo:
        return await source.stat(info.key) if digests and info.digest is None else info

    selected = selection.among([info async for info in listing])
    return sorted(await _each(known, selected.values()), key=lambda info: info.key.encode())


async def _copy_folder(
    source: Connector, selection: Selection, listing: Listing, folder: Path, progress: Progress | None
) -> tuple[FileEntry, ...]:
    selected = selection.require([info async for info in listing])
    with explain_faults(folder, "", writing=True):
        await in_thread(folder.mkdir, exist_ok=True)
    return await _copy(source, selection, selected, _Target(LocalStore(folder, sync=False)), progress)


async def _get_folder(
    source: Connector, selection: Selection, listing: Listing, path: Path, progress: Progress | None
) -> tuple[FileEntry, ...]:
    draft = path.parent / (DRAFT_PREFIX + os.urandom(8).hex())
    try:
        entries = await _copy_folder(source, selection, listing, draft, progress)
        with explain_faults(path.parent, path.name, writing=True):
            _publish(draft, path)
        return entries
    finally:
        await in_thread(shutil.rmtree, draft, ignore_errors=True)


async def _put_folder(source: LocalStore, target: _Target, progress: Progress | None) -> tuple[FileEntry, ...]:
    everything = Selection()
    selected = everything.require([info async for info in source.scan()])
    return await _copy(source, everything, selected, target, progress)


async def _copy(
    source: Connector,
    selection: Selection,
    selected: dict[str, ObjectInfo],
    target: _Target,
    progress: Progress | None,
) -> tuple[FileEntry, ...]:
    copied = _Copied(progress)

    async def copy(info: ObjectInfo) -> FileEntry:
        entry = await target.write(selection.path(info.key), source.read(info.key))
        if entry.size != info.size or info.digest not in {None, entry.sha256}:
            raise _changed(info.key, "is not what was listed")
        copied.add(entry.size)
        return entry

    entries = await _each(copy, selected.values())
    if any(info.digest is None for info in selected.values()):
        _compare(selected, selection.among([info async for info in source.scan(selection.prefix)]))
    return sort_entries(entries)


async def _each(work: Callable[[ObjectInfo], Awaitable[T]], items: Iterable[ObjectInfo]) -> list[T]:
    """The results of ``work``, AT_ONCE at a time; the first error ends all."""
    waiting = iter(items)
    results: list[T] = []

    async def take() -> None:
        for item in waiting:
            results.append(await work(item))  # noqa: PERF401 - the iterator is shared

    takers = [asyncio.create_task(take()) for _ in range(AT_ONCE)]
    try:
        await asyncio.gather(*takers)
    finally:
        for taker in takers:
            taker.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
    return results


def _publish(draft: Path, path: Path) -> None:
    """Give the folder its name. rename(2) replaces an empty folder, and nothing else."""
    try:
        draft.rename(path)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise
        raise ObjectExists(f"{path} exists already", hint="choose another path") from error


def _compare(before: dict[str, ObjectInfo], after: dict[str, ObjectInfo]) -> None:
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            raise _changed(key, "appeared" if old is None else "disappeared")
        if (old.size, old.etag) != (new.size, new.etag):
            raise _changed(key, "was changed")


def _changed(key: str, what: str) -> StorageError:
    return StorageError(f"{key!r} {what} while the store was copied", hint="copy again when nobody writes to it")
