"""What a person may have meant by a key that a local store does not hold."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from codex_connectors.listing import list_files
from codex_core.errors import ObjectMissing, StorageError
from codex_core.wording import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

_LOOKED_AT = 1000


def suggest(error: ObjectMissing, root: Path, key: str) -> ObjectMissing:
    """``error`` with a hint: a key that is like ``key``, or what the nearest folder that there is holds.

    Only the first thousand objects are looked at: a hint is not worth a long wait.
    """
    try:
        folder, found = _nearest(root, key)
    except StorageError:
        return error  # which says more than a listing that fails as well
    if not found:
        return error
    below = [name for name in found if name.startswith(f"{key}/")]
    if below:
        return ObjectMissing(error.message, hint=f"{key!r} is a folder, which holds {_some(below)}")
    place = f"below {folder!r}" if folder else "in the store"
    return ObjectMissing(error.message, hint=did_you_mean(key, found) or f"{place} there are {_some(found)}")


def _nearest(root: Path, key: str) -> tuple[str, list[str]]:
    folder = key
    while folder:
        folder = folder.rpartition("/")[0]
        found = [info.key for info in islice(list_files(root, folder), _LOOKED_AT)]
        if found:
            return folder, found
    return "", []


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(map(repr, keys[:3])) + more
