"""The listing of a folder as a store: every file beneath it, in the order of the bytes of the keys."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from codex_connectors.beneath import (
    DRAFT_PREFIX,
    check_name,
    list_names,
    lstat_in,
    open_folder,
    refuse_special,
    split_key,
)
from codex_connectors.faults import explain_faults
from codex_core.storage import ObjectInfo

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Keep = Callable[[str, os.stat_result], bool]


def list_files(root: Path, prefix: str = "", *, keep: Keep | None = None) -> Iterator[ObjectInfo]:
    """Every file whose key is ``prefix`` or lies below it, sorted by the bytes of its key, without digests.

    ``keep`` says of each name at or below ``prefix`` whether it belongs to the store at all. KeyRefused for a link, a
    special file or a name that is not UTF-8: a listing that skipped them would claim to be whole. Drafts are not
    listed. What appears or disappears meanwhile may be listed or not.
    """
    pending = _begin(root, prefix, keep)
    while pending:
        found = pending.pop()
        if isinstance(found, ObjectInfo):
            yield found
        else:
            pending.extend(reversed(_read_folder(root, found, keep)))


def describe(key: str, found: os.stat_result, digest: str | None = None) -> ObjectInfo:
    """The info of a file; its etag changes whenever its bytes do, because no program can set a file's ctime back."""
    etag = f"{found.st_ino:x}-{found.st_size:x}-{found.st_ctime_ns:x}"
    return ObjectInfo(key, found.st_size, digest, etag, datetime.fromtimestamp(found.st_mtime, UTC))


def _begin(root: Path, prefix: str, keep: Keep | None) -> list[ObjectInfo | str]:
    """The object at ``prefix``, or the folder, or nothing."""
    if not prefix:
        return [""]
    folders, name = split_key(prefix)
    with explain_faults(root, ""), open_folder(root):
        pass  # a root that is missing is an error, a prefix that is missing is an empty listing
    try:
        with explain_faults(root, prefix), open_folder(root, folders) as folder:
            found = lstat_in(folder, name)
    except FileNotFoundError:
        return []
    if found is None or not (keep is None or keep(prefix, found)):
        return []
    return [_item(prefix, found)]


def _read_folder(root: Path, below: str, keep: Keep | None) -> list[ObjectInfo | str]:
    parts = tuple(below.split("/")) if below else ()
    try:
        with explain_faults(root, below), open_folder(root, parts) as folder:
            names = [(name, found) for name in list_names(folder) if (found := lstat_in(folder, name)) is not None]
    except FileNotFoundError:
        if not below:
            raise
        return []  # removed since its parent was read
    keyed = [
        (f"{below}/{name}" if below else name, found) for name, found in names if not name.startswith(DRAFT_PREFIX)
    ]
    kept = [(key, found) for key, found in keyed if keep is None or keep(key, found)]
    return [_item(key, found) for key, found in sorted(kept, key=_order)]


def _order(item: tuple[str, os.stat_result]) -> bytes:
    """A folder stands where its keys do: ``a/b`` comes after ``a.txt``."""
    key, found = item
    return (check_name(key) + "/" * stat.S_ISDIR(found.st_mode)).encode()


def _item(key: str, found: os.stat_result) -> ObjectInfo | str:
    if stat.S_ISDIR(found.st_mode):
        return key
    if not stat.S_ISREG(found.st_mode):
        raise refuse_special(key, found)
    return describe(key, found)
