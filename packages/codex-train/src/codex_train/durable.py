"""Durable files: written and synced before they bear their name, so that a crash leaves old ones or new ones."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from codex_core.exchange import exchange

if TYPE_CHECKING:
    from pathlib import Path


def draft_of(path: Path) -> Path:
    """Where a file or a folder is made before it gets the name ``path``."""
    return path.with_name(f".{path.name}.draft")


def replace_file(path: Path, data: bytes) -> None:
    """Make ``path`` hold ``data``: after a crash it holds what it did before, or all of this."""
    draft = draft_of(path)
    draft.write_bytes(data)
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def make_folder(folder: Path) -> None:
    """Make ``folder``, and the folders above it that are missing; a crash afterwards takes none of them."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def publish_folder(draft: Path, place: Path) -> None:
    """Sync all that is in the folder ``draft``, then give it the name ``place``, where nothing may be."""
    _sync_files(draft)
    draft.rename(place)
    sync(place.parent)


def replace_folder(draft: Path, place: Path) -> None:
    """As ``publish_folder``, in place of a folder that is there: after a crash one of both stands there, whole."""
    _sync_files(draft)
    if exchange(draft, place):
        sync(place.parent)
        shutil.rmtree(draft)
    sync(place.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder in such a way that a crash leaves all of it, or nothing under its name."""
    if folder.exists():
        doomed = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(doomed, ignore_errors=True)
        folder.rename(doomed)
        shutil.rmtree(doomed)


def _sync_files(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        sync(path)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
