"""Exchange: something new takes its place in one step, and what stood there comes back in its stead."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(new: Path, place: Path) -> bool:
    """Rename ``new`` to ``place``. True if something stood there: it is at ``new`` now.

    One renameat2(2) with RENAME_EXCHANGE. Where the file system has none, ``place`` is empty for a moment.
    """
    if not os.path.lexists(place):
        new.rename(place)
        return False
    try:
        swap(new, place)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        _take_turns(new, place)
    return True


def swap(one: Path, other: Path) -> None:
    """Exchange two names in one renameat2(2); OSError, EINVAL or ENOSYS where the file system has no exchange."""
    if _libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _take_turns(new: Path, place: Path) -> None:
    old = new.with_name(f"{new.name}.replaced")
    place.rename(old)
    try:
        new.rename(place)
    except OSError:
        old.rename(place)
        raise
    old.rename(new)
