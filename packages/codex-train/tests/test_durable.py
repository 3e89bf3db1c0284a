"""Durable files: what a crash of the machine must not take is synced, in the order in which it is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_train.durable import make_folder


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths of all that is synced from now on."""
    found: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: found.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    return found


def test_the_name_of_every_new_folder_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert synced == [tmp_path / "a" / "b", tmp_path / "a", tmp_path]


def test_a_folder_that_is_there_costs_nothing(tmp_path: Path, synced: list[Path]) -> None:
    make_folder(tmp_path)
    assert synced == []
