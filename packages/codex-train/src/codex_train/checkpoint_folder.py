"""The folder of a run's checkpoints: their names, which there are, and which go. What is in one is not looked at."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from codex_train.durable import remove_folder

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"step-(\d{8,})")
_DRAFT = re.compile(rf"\.(damaged-)?{_NAME.pattern}\.(draft|old)")
"""What ``codex_train.durable`` calls a checkpoint that is being made or removed."""


def place_of(folder: Path, step: int) -> Path:
    """Where the checkpoint after ``step`` stands below ``folder``."""
    return folder / f"step-{step:08}"


def step_of(place: Path) -> int:
    """The step after which the checkpoint at ``place`` was written."""
    return int(place.name.partition("-")[2])


def list_checkpoints(folder: Path) -> tuple[Path, ...]:
    """The checkpoints below ``folder``, oldest first, whether whole or damaged; none if it is not there."""
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted((place for place in found if _NAME.fullmatch(place.name)), key=step_of))


def prune_checkpoints(folder: Path, keep: int) -> None:
    """Remove all checkpoints but the newest ``keep``, which is 1 or more."""
    for place in list_checkpoints(folder)[:-keep]:
        remove_folder(place)


def discard_drafts(folder: Path) -> None:
    """Remove what killed processes left half written or half removed."""
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name):
            shutil.rmtree(path)


def set_aside(place: Path) -> None:
    """Give a damaged checkpoint a name under which it is not read again: ``damaged-step-00000120``."""
    aside = place.with_name(f"damaged-{place.name}")
    remove_folder(aside)
    place.rename(aside)
