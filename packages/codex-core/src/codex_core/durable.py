"""Durability: what must be on disk before a program may rely on it after a crash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def sync_folder(folder: Path | int) -> None:
    """Wait until the names in ``folder``, a path or a descriptor of any kind, are on disk (fsync(2) on the folder)."""
    if isinstance(folder, int):  # opened anew, because one of O_PATH cannot be synced
        readable = os.open(".", _READ_FOLDER, dir_fd=folder)
    else:
        readable = os.open(folder, _READ_FOLDER)
    try:
        os.fsync(readable)
    finally:
        os.close(readable)
