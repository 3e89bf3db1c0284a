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
    if _libc.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(place), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number not in {errno.EINVAL, errno.ENOSYS}:
        raise OSError(number, os.strerror(number), str(place))
    old = new.with_name(f"{new.name}.replaced")
    place.rename(old)
    new.rename(place)
    old.rename(new)
    return True
