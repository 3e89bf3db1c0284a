"""Drafts: a file is written under a draft's name, synced, and only then given its own, so that readers see it whole.

A draft is held under flock(2) as long as its writer lives. One that nobody holds was left by a killed writer, and a
later write into the same folder removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from codex_connectors.beneath import (
    DRAFT_PREFIX,
    list_names,
    lstat_in,
    open_folder,
    refuse_special,
    split_key,
)
from codex_connectors.faults import explain_faults
from codex_connectors.listing import describe
from codex_core.durable import sync_folder
from codex_core.errors import ObjectExists, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from codex_core.storage import ObjectInfo


class Draft:
    """One write: ``add`` chunks, then ``publish``; ``discard`` in any case. Not for use by two threads at once."""

    def __init__(self, root: Path, key: str, cleaned: set[str], *, if_absent: bool = False, sync: bool = True) -> None:
        """``cleaned`` are the folders already rid of dead drafts. Nothing is touched before the first call."""
        self._root, self._key, self._cleaned, self._if_absent, self._sync = root, key, cleaned, if_absent, sync
        self._folders, self._name = split_key(key)
        self._hash = hashlib.sha256()
        self._held = ExitStack()
        self._folder = self._file = -1
        self._draft: str | None = None

    def add(self, chunk: bytes) -> None:
        """Append ``chunk`` to the draft."""
        with explain_faults(self._root, self._key, writing=True):
            self._open()
            self._write(chunk)

    def publish(self, last: bytes = b"") -> ObjectInfo:
        """Append ``last``, and give the draft its name once it is on disk; ObjectExists if that had to be free."""
        with explain_faults(self._root, self._key, writing=True):
            draft = self._open()
            self._write(last)
            if self._sync:
                os.fsync(self._file)
            self._rename(draft)
            if self._sync:
                sync_folder(self._folder)
            return describe(self._key, os.fstat(self._file), f"sha256:{self._hash.hexdigest()}")

    def discard(self) -> None:
        """Remove what was not published, and let go of the folder."""
        with self._held:
            if self._draft is not None:
                with suppress(FileNotFoundError):
                    os.unlink(self._draft, dir_fd=self._folder)
                self._draft = None

    def _open(self) -> str:
        """The draft's name, once there is a draft."""
        if self._draft is not None:
            return self._draft
        if self._folder < 0:
            opening = open_folder(self._root, self._folders, create=True, sync=self._sync)
            self._folder = self._held.enter_context(opening)
        self._check_place()
        self._clean()
        while True:
            name = DRAFT_PREFIX + os.urandom(8).hex()
            held = _hold(self._folder, name)
            if held is not None:
                self._draft, self._file = name, held
                self._held.callback(os.close, held)
                return name

    def _write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        left = memoryview(chunk)
        while left:
            left = left[os.write(self._file, left) :]

    def _clean(self) -> None:
        """Remove the drafts of killed writers from the folder, once for each store."""
        below = "/".join(self._folders)
        if below not in self._cleaned:
            self._cleaned.add(below)
            for name in list_names(self._folder):
                if name.startswith(DRAFT_PREFIX):
                    _remove_if_dead(self._folder, name)

    def _check_place(self) -> None:
        found = lstat_in(self._folder, self._name)
        if found is None:
            return
        if stat.S_ISDIR(found.st_mode):
            raise StorageError(
                f"{self._key!r} is a folder in {self._root}", hint="choose a key that is not the start of others"
            )
        if not stat.S_ISREG(found.st_mode):
            raise refuse_special(self._key, found)
        if self._if_absent:
            raise self._exists()

    def _rename(self, draft: str) -> None:
        if not self._if_absent:
            os.rename(draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            self._draft = None
            return
        try:
            os.link(draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            raise self._exists() from None

    def _exists(self) -> ObjectExists:
        return ObjectExists(
            f"{self._root} holds {self._key!r} already", hint="choose another key, or allow it to be replaced"
        )


def _hold(folder: int, name: str) -> int | None:
    """Create the draft and lock it; None if it was swept away in between, for it looked dead until it was locked."""
    held = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder)
    fcntl.flock(held, fcntl.LOCK_EX)
    if os.fstat(held).st_nlink:
        return held
    os.close(held)
    return None


def _remove_if_dead(folder: int, name: str) -> None:
    try:
        found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return  # published meanwhile, or nothing that a writer of ours has left
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    except (BlockingIOError, FileNotFoundError, IsADirectoryError, PermissionError):
        pass  # its writer lives, or it is gone, or it is no draft of a file
    finally:
        os.close(found)
