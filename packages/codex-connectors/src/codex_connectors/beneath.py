"""What lies beneath a root: folders entered part by part from a held descriptor, following no link.

A path is never handed to the kernel whole. Each part is opened in the folder that the part before it opened, with
O_NOFOLLOW, so that neither ``..`` nor a link leads out of the root, also while somebody swaps folders for links. The
root itself is the configuration's own choice and may be reached through links.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codex_core.durable import sync_folder
from codex_core.errors import KeyRefused, StorageError
from codex_core.storage import check_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DRAFT_PREFIX = ".codex-draft-"
"""Names that begin like this are writes in progress, or what a killed one left: never objects."""

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def split_key(key: str) -> tuple[tuple[str, ...], str]:
    """The folders of ``key`` and its last part; KeyRefused if a file store cannot hold it."""
    *folders, name = check_key(key).split("/")
    check_name(key)
    if any(part.startswith(DRAFT_PREFIX) for part in (*folders, name)):
        raise KeyRefused(
            f"the key {key!r} has a part beginning with {DRAFT_PREFIX!r}", hint="such names are kept for drafts"
        )
    return tuple(folders), name


def check_name(key: str) -> str:
    """``key`` itself; KeyRefused if it is not UTF-8, so that no listing and no digest could hold it."""
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise KeyRefused(f"the name {key!r} is not UTF-8", hint="rename the file") from error
    return key


@contextmanager
def open_folder(root: Path, parts: tuple[str, ...] = (), *, create: bool = False, sync: bool = True) -> Iterator[int]:
    """A descriptor (O_PATH) of the folder ``parts`` beneath ``root``, for use as ``dir_fd``.

    ``create`` makes the folders that are missing, on disk before it goes on if ``sync``. KeyRefused if a part is a
    link; OSError as open(2) says for the rest.
    """
    held = os.open(root, _FOLDER)
    try:
        for part in parts:
            below = _enter(held, part, create, sync)
            os.close(held)
            held = below
        yield held
    finally:
        os.close(held)


def list_names(folder: int) -> list[str]:
    """The names in the folder with this descriptor, in no order."""
    readable = os.open(
        ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder
    )  # one of O_PATH cannot be listed
    try:
        return os.listdir(readable)  # noqa: PTH208 - a descriptor has no path
    finally:
        os.close(readable)


def lstat_in(folder: int, name: str) -> os.stat_result | None:
    """What ``name`` is in this folder, following no link; None if there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def refuse_special(key: str, found: os.stat_result) -> KeyRefused:
    """The error for what is neither a file nor a folder."""
    kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "a special file"
    return KeyRefused(
        f"{key!r} is {kind}, which a store neither follows nor skips", hint="remove it, or replace it by a file"
    )


def _enter(held: int, part: str, create: bool, sync: bool) -> int:
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=held)
    except FileNotFoundError:
        if not create:
            raise
    except NotADirectoryError as error:
        raise _no_folder(held, part, error) from None
    return _make(held, part, sync)


def _no_folder(held: int, part: str, error: OSError) -> OSError:
    """What to raise for a part that could not be entered: ``error`` itself if it is an object."""
    found = lstat_in(held, part)
    if found is None or stat.S_ISDIR(found.st_mode):
        return StorageError(f"the folder {part!r} was replaced while it was opened", hint="do it again")
    return error if stat.S_ISREG(found.st_mode) else refuse_special(part, found)


def _make(held: int, part: str, sync: bool) -> int:
    try:
        os.mkdir(part, dir_fd=held)
    except FileExistsError:
        pass  # another writer was faster, or a link appeared, which the open below refuses
    else:
        if sync:
            sync_folder(held)
    try:
        return os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=held)
    except NotADirectoryError as error:
        raise _no_folder(held, part, error) from None
