from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from codex_core.errors import UsageError
from codex_deploy.drafts import draft_of, publish


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_draft_takes_its_place_whole(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "place"
    with draft_of(place) as draft:
        (draft / "sub").mkdir()
        (draft / "sub" / "file").write_text("new")
        assert not place.exists()
        publish(draft, place, check=lambda: None)
    assert (place / "sub" / "file").read_text() == "new"
    assert names(place.parent) == ["place"]


def test_what_stood_there_is_replaced_and_removed(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "old").write_text("old")
    with draft_of(tmp_path / "place") as draft:
        (draft / "new").write_text("new")
        publish(draft, tmp_path / "place", check=lambda: None)
    assert names(tmp_path / "place") == ["new"]
    assert names(tmp_path) == ["place"]


def test_a_draft_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with draft_of(tmp_path / "place") as draft:
        (draft / "file").write_text("x")
    assert names(tmp_path) == []


def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_else(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal; from pathlib import Path; from codex_deploy.drafts import draft_of\n"
        "with draft_of(Path(sys.argv[1])) as draft:\n"
        "    (draft / 'file').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    place = tmp_path / "place*"
    killed = subprocess.run([sys.executable, "-c", program, str(place)], check=False)
    assert killed.returncode == -9
    assert len(names(tmp_path)) == 1
    other = tmp_path / ".placeX.draft-1"
    other.mkdir()
    with draft_of(place), draft_of(place):  # the first is held, so the second leaves it alone
        assert len(names(tmp_path)) == 3
    assert names(tmp_path) == [other.name]


def test_a_draft_swept_away_before_it_was_held_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.flock
    swept: list[Path] = []

    def sweep_first(held: int, how: int) -> None:
        if how == fcntl.LOCK_EX and not swept:
            swept.append(Path(f"/proc/self/fd/{held}").readlink())
            shutil.rmtree(swept[0])
        real(held, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with draft_of(tmp_path / "place") as draft:
        assert draft.is_dir()
        assert draft != swept[0]


def test_what_stands_there_is_looked_at_while_no_other_writer_can_put_anything_there(tmp_path: Path) -> None:
    other = os.open(tmp_path, os.O_RDONLY)

    def check() -> None:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raise UsageError("somebody else's")

    with draft_of(tmp_path / "place") as draft, pytest.raises(UsageError):
        publish(draft, tmp_path / "place", check=check)
    assert names(tmp_path) == []
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_the_folder_around_the_place_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with draft_of(tmp_path / "link" / "place") as draft:
        publish(draft, tmp_path / "link" / "place", check=lambda: None)
    assert names(tmp_path / "real") == ["place"]
