"""What an operating system's error means for a store: which error of the tree, and what to do next."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codex_core.errors import CodexError, KeyRefused, ObjectMissing, ReadOnlyStore, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def explain_faults(root: Path, key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn an OSError about ``key`` in the folder ``root`` into the StorageError that says what to do."""
    try:
        yield
    except CodexError:
        raise
    except OSError as error:
        raise explain(error, root, key, writing=writing) from error


def explain(error: OSError, root: Path, key: str, *, writing: bool) -> StorageError:
    """The StorageError for ``error``; ``key`` is empty where the whole store is meant."""
    wish = (
        f"{'write' if writing else 'read'} {key!r} in {root}" if key else f"{'write to' if writing else 'list'} {root}"
    )
    if error.errno == errno.ENOENT:
        return _missing(root, key)
    if error.errno == errno.ENOTDIR:
        return _not_a_folder(root, key, writing)
    if error.errno in _DENIED:
        return _denied(error, wish, writing)
    if error.errno in _FULL:
        return StorageError(
            f"cannot {wish}: the disk is full", hint="free some space and do it again; nothing was changed"
        )
    if error.errno == errno.EFBIG:
        return StorageError(f"cannot {wish}: the file would be too large", hint="raise the file size limit (ulimit -f)")
    if error.errno in {errno.ENAMETOOLONG, errno.EILSEQ}:
        return KeyRefused(f"cannot {wish}: the file system takes no such name", hint="use a shorter or a plainer key")
    if error.errno in {errno.ELOOP, errno.ENXIO, errno.ENODEV}:
        return KeyRefused(f"cannot {wish}: it is a link or a special file", hint="remove it, or replace it by a file")
    return StorageError(f"cannot {wish}: {error.strerror or error}", hint="see to the file system, then do it again")


def _missing(root: Path, key: str) -> ObjectMissing:
    if not root.exists():
        return ObjectMissing(
            f"the store's folder {root} does not exist", hint="create or mount it, or correct the store's url"
        )
    return ObjectMissing(f"{root} holds no object {key!r}", hint="list what is there with `codex store ls`")


def _not_a_folder(root: Path, key: str, writing: bool) -> StorageError:
    if not root.is_dir():
        return StorageError(f"{root} is not a folder", hint="a file store's url names a folder")
    if writing:
        return StorageError(f"cannot write {key!r} in {root}: a part of it is an object", hint="choose another key")
    return ObjectMissing(f"{root} holds no object {key!r}", hint="a part of the key is an object, not a folder")


def _denied(error: OSError, wish: str, writing: bool) -> StorageError:
    message = f"cannot {wish}: {error.strerror}"
    if writing:
        return ReadOnlyStore(message, hint="write to another store, or change who may write there")
    return StorageError(message, hint="change who may read there")
