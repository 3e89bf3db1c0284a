"""Recovery: the newest whole checkpoint is found, and nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codex_core.errors import VerificationError
from codex_train.checkpoint import Checkpoint, write_checkpoint
from codex_train.checkpoint_folder import list_checkpoints, place_of, prune_checkpoints, step_of
from codex_train.identity import Identity
from codex_train.recovery import Recovery, recover


def write(folder: Path, *steps: int) -> None:
    for step in steps:
        states = {"model": {"w": torch.full((3,), float(step))}}
        write_checkpoint(folder, Checkpoint(step, states, {"step": step}, Identity({}, {})))


def damage(folder: Path, step: int) -> None:
    path = place_of(folder, step) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_where_there_is_none_none_is_found(tmp_path: Path) -> None:
    assert recover(tmp_path / "checkpoints") == Recovery(None)
    assert recover(tmp_path) == Recovery(None)


def test_the_newest_by_number_is_found(tmp_path: Path) -> None:
    write(tmp_path, 100000000, 9, 10)
    assert [step_of(place) for place in list_checkpoints(tmp_path)] == [9, 10, 100000000]
    found = recover(tmp_path)
    assert found.checkpoint is not None
    assert (found.checkpoint.step, found.damage) == (100000000, ())


def test_damaged_ones_are_set_aside_and_told(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3)
    damage(tmp_path, 2)
    damage(tmp_path, 3)
    found = recover(tmp_path)
    assert found.checkpoint is not None
    assert found.checkpoint.step == 1
    assert found.damage == tuple(
        f"step-0000000{step} is damaged: the tensor 'w' in model.safetensors is not what was written" for step in (3, 2)
    )
    assert names(tmp_path) == ["damaged-step-00000002", "damaged-step-00000003", "step-00000001"]


def test_where_none_is_whole_all_stay_and_are_named(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    damage(tmp_path, 1)
    (place_of(tmp_path, 2) / "state.json").unlink()
    with pytest.raises(VerificationError) as caught:
        recover(tmp_path)
    assert [problem.message for problem in caught.value.problems] == [
        "step-00000002 is damaged: state.json is missing",
        "step-00000001 is damaged: the tensor 'w' in model.safetensors is not what was written",
    ]
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_what_killed_processes_left_half_written_goes(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / ".step-00000002.draft").mkdir()
    (tmp_path / ".step-00000002.draft" / "model.safetensors").write_bytes(b"half")
    (tmp_path / ".step-00000000.old").mkdir()
    (tmp_path / ".damaged-step-00000000.old").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"a desktop's")
    (tmp_path / ".step-00000002.notes").write_bytes(b"a person's")
    recover(tmp_path)
    assert names(tmp_path) == [".DS_Store", ".step-00000002.notes", "step-00000001"]


def test_a_checkpoint_under_the_name_of_another_step_is_damaged(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    place_of(tmp_path, 2).rename(place_of(tmp_path, 3))
    found = recover(tmp_path)
    assert found.checkpoint is not None
    assert found.checkpoint.step == 1
    assert found.damage == ("step-00000003 is of step 2, so it was not written there",)


def test_pruning_keeps_the_newest(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4)
    prune_checkpoints(tmp_path, 2)
    assert names(tmp_path) == ["step-00000003", "step-00000004"]
