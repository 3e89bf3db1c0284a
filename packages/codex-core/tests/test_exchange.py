from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from codex_core import exchange as module
from codex_core.exchange import exchange


def folder(path: Path, text: str) -> Path:
    path.mkdir()
    (path / "file").write_text(text)
    return path


class NoExchange:
    """A C library whose renameat2 fails with the error ``number``."""

    def __init__(self, number: int) -> None:
        self.number = number

    def renameat2(self, *words: object) -> int:
        ctypes.set_errno(self.number)
        return -1


def test_a_new_thing_takes_a_free_place(tmp_path: Path) -> None:
    assert exchange(folder(tmp_path / "new", "new"), tmp_path / "place") is False
    assert os.listdir(tmp_path) == ["place"]  # noqa: PTH208 - names are what is compared


@pytest.mark.parametrize("number", [None, errno.EINVAL, errno.ENOSYS])
def test_what_stood_in_the_place_comes_back_in_its_stead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    if number is not None:
        monkeypatch.setattr(module, "_libc", NoExchange(number))
    new, place = folder(tmp_path / "new", "new"), folder(tmp_path / "place", "old")
    assert exchange(new, place) is True
    assert ((place / "file").read_text(), (new / "file").read_text()) == ("new", "old")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "place"]


def test_a_second_rename_that_fails_brings_back_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_libc", NoExchange(errno.EINVAL))
    place = folder(tmp_path / "place", "old")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "new", place)
    assert (place / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_any_other_error_leaves_both_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_libc", NoExchange(errno.EACCES))
    new, place = folder(tmp_path / "new", "new"), folder(tmp_path / "place", "old")
    with pytest.raises(PermissionError, match="place"):
        exchange(new, place)
    assert ((place / "file").read_text(), (new / "file").read_text()) == ("old", "new")
