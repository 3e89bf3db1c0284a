"""Promises of codex_core.durable: a folder is synced itself, however it is named, and nothing stays open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from codex_core.durable import sync_folder


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of the descriptors that were synced."""
    paths: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return paths


def test_a_folder_is_synced_by_its_path_and_by_any_descriptor(tmp_path: Path, synced: list[str]) -> None:
    sync_folder(tmp_path)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number counts
    for flags in (os.O_RDONLY, os.O_PATH):
        held = os.open(tmp_path, flags | os.O_DIRECTORY)
        sync_folder(held)
        os.close(held)
    assert synced == [str(tmp_path)] * 3
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - likewise


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
