"""Drafts: a folder is written under another name beside its place, synced, and put there by one rename or exchange.

A draft is held under flock(2) as long as its writer lives. One that nobody holds was left by a killed writer, or has
been exchanged for what it replaces; the next writer for the same place removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from glob import escape
from typing import TYPE_CHECKING

from codex_core.durable import sync_folder
from codex_core.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def draft_of(place: Path) -> Iterator[Path]:
    """A new empty folder beside ``place``, whose own folder is made if it is missing; removed if not published."""
    place.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{place.name}.draft-"
    _sweep(place.parent, prefix)
    draft, held = _hold(place.parent, prefix)
    try:
        yield draft
    finally:
        os.close(held)
        shutil.rmtree(draft, ignore_errors=True)  # a sweeping writer may be at it as well


def publish(draft: Path, place: Path, *, check: Callable[[], None]) -> None:
    """Put ``draft`` on disk and then in its place; what stood there is where the draft was.

    ``check`` is called just before that, while no other writer of ours puts anything there: it raises if what stands
    in the place now may not be replaced.
    """
    for folder, _, files in os.walk(draft, topdown=False):
        for name in files:
            _sync(os.path.join(folder, name))  # noqa: PTH118 - os.walk gives text
        _sync(folder)
    with _locked(place.parent):
        check()
        exchange(draft, place)
        sync_folder(place.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other writer is about to put something into ``folder``, and be the one who is."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _hold(parent: Path, prefix: str) -> tuple[Path, int]:
    """A new draft and the descriptor that holds it."""
    while True:
        draft = parent / f"{prefix}{os.urandom(8).hex()}"
        draft.mkdir()
        try:
            held = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # swept away, for it looked dead until it was held
        fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink:
            return draft, held
        os.close(held)


def _sweep(parent: Path, prefix: str) -> None:
    for found in parent.glob(f"{escape(prefix)}*"):
        try:
            held = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile, or nothing that a writer of ours has left
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(found, ignore_errors=True)
        except BlockingIOError:
            continue  # its writer lives
        finally:
            os.close(held)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
