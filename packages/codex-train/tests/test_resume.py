"""A run that is stopped, in any way and at any moment, goes on to the same bits."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from codex_train import read_run

if TYPE_CHECKING:
    from conftest import Trained

SAVES = 8
"""Checkpoints of a whole run: 4, 8, .. 28 and 30."""


def assert_same(found: Trained, unstopped: Trained) -> None:
    assert found.final() == unstopped.final()
    assert found.logged() == unstopped.logged()
    assert [step for step, _ in found.logged()] == list(range(1, 31))
    assert read_run(found.folder).state == "finished"
    assert not [name for name in found.checkpoints if name.startswith(".")]


def test_two_runs_of_one_identity_end_in_the_same_bits(trained: Trained, unstopped: Trained) -> None:
    assert trained.run(save_every=1000, keep=1) == 0
    assert_same(trained, unstopped)
    assert trained.checkpoints == ["step-00000030"]


def test_another_seed_ends_in_other_bits(trained: Trained, unstopped: Trained) -> None:
    assert trained.run(seed=6) == 0
    assert trained.final()["model.safetensors"] != unstopped.final()["model.safetensors"]


@pytest.mark.parametrize("step", sorted(random.Random(3).sample(range(1, 31), 6)))
def test_killed_in_the_middle_of_an_epoch_it_goes_on_to_the_same_bits(
    step: int, trained: Trained, unstopped: Trained
) -> None:
    assert trained.run("SIGKILL", step) == -signal.SIGKILL
    assert trained.run() == 0
    assert_same(trained, unstopped)
    began = [] if step < 5 else [("resume", (step - 1) // 4 * 4)]
    first = [("start", 0), ("start", 0)] if step < 5 else [("start", 0)]
    assert trained.told() == [*first, *began, ("finish", 30)]


def test_killed_again_and_again_it_goes_on_to_the_same_bits(trained: Trained, unstopped: Trained) -> None:
    for step in (6, 7, 13, 14, 29, 30):
        assert trained.run("SIGKILL", step) == -signal.SIGKILL
    assert trained.run() == 0
    assert_same(trained, unstopped)


@pytest.mark.parametrize("call", [1, 2, 5, 9, 10, 11, 12, 13, 14, 15, 40])
def test_killed_before_any_sync_it_goes_on_to_the_same_bits(call: int, trained: Trained, unstopped: Trained) -> None:
    assert trained.run("fsync", call) == -signal.SIGKILL
    assert trained.run() == 0
    assert_same(trained, unstopped)


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 9, 10, 11, 12])
def test_killed_before_any_rename_it_goes_on_to_the_same_bits(call: int, trained: Trained, unstopped: Trained) -> None:
    assert trained.run("rename", call) == -signal.SIGKILL
    assert trained.run() == 0
    assert_same(trained, unstopped)


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_saves_once_and_ends_cleanly(name: str, status: int, trained: Trained, unstopped: Trained) -> None:
    assert trained.run(name, 17) == status
    assert read_run(trained.folder).state == "interrupted"
    assert trained.checkpoints == ["step-00000012", "step-00000016", "step-00000017"]
    assert trained.told() == [("start", 0), ("interrupt", 17)]
    assert trained.run() == 0
    assert trained.told() == [("start", 0), ("interrupt", 17), ("resume", 17), ("finish", 30)]
    assert_same(trained, unstopped)


def test_a_signal_in_the_last_step_finishes_the_run_first(trained: Trained, unstopped: Trained) -> None:
    assert trained.run("SIGTERM", 30) == 143
    assert_same(trained, unstopped)


def test_a_second_signal_ends_it_at_once(trained: Trained, unstopped: Trained) -> None:
    assert trained.run("twice", 17) == -signal.SIGINT
    assert trained.checkpoints[-1] == "step-00000016"
    assert trained.run() == 0
    assert_same(trained, unstopped)


def test_a_finished_run_that_is_started_again_changes_nothing(trained: Trained, unstopped: Trained) -> None:
    assert trained.run() == 0
    assert trained.run() == 0
    assert_same(trained, unstopped)
    assert trained.told()[-2:] == [("resume", 30), ("finish", 30)]


def test_a_loss_that_is_not_finite_stops_it_with_the_batch_named(trained: Trained) -> None:
    assert trained.run("nan", 19) == 1
    told = "the loss of step 19 is nan: epoch 1, batch 8, examples "
    assert f"LossNotFinite: {told}" in trained.said()
    found = read_run(trained.folder)
    assert (found.state, found.step) == ("failed", 16)
    assert str(found.observed["reason"]).startswith(told)
    assert trained.checkpoints[-1] == "step-00000016"


def test_it_goes_on_after_a_loss_that_was_not_finite(trained: Trained, unstopped: Trained) -> None:
    assert trained.run("nan", 19) == 1
    assert trained.run() == 0
    assert_same(trained, unstopped)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(trained: Trained, unstopped: Trained) -> None:
    assert trained.run("SIGKILL", 18) == -signal.SIGKILL
    path = trained.folder / "checkpoints" / "step-00000016" / "opt.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert trained.run() == 0
    assert_same(trained, unstopped)
    told = "step-00000016 is damaged: the tensor 'state.3.step' in opt.safetensors is not what was written"
    assert f"{told}; going on from step 12" in trained.said()
    assert trained.told() == [("start", 0), ("resume", 12), ("damage", 12), ("finish", 30)]
    assert "damaged-step-00000016" in trained.checkpoints


def test_where_no_checkpoint_is_whole_it_ends_and_touches_none(trained: Trained) -> None:
    assert trained.run("SIGKILL", 18) == -signal.SIGKILL
    for name in trained.checkpoints:
        (trained.folder / "checkpoints" / name / "state.json").write_bytes(b"{}")
    before = trained.checkpoints
    assert trained.run() == 1
    assert "VerificationError: step-00000016 is damaged" in trained.said()
    assert trained.checkpoints == before


def test_a_checkpoint_of_another_model_is_refused_with_the_tensor_named(trained: Trained, unstopped: Trained) -> None:
    assert trained.run("SIGKILL", 18) == -signal.SIGKILL
    assert trained.run("other model") == 1
    told = "another model: model.0.weight is float32 [24, 6], and in the checkpoint of step 16 it is float32 [16, 6]"
    assert told in trained.said()
    assert trained.run() == 0
    assert_same(trained, unstopped)


def test_other_threads_are_refused_before_anything_is_changed(trained: Trained, unstopped: Trained) -> None:
    assert trained.run("SIGKILL", 18) == -signal.SIGKILL
    assert trained.run(threads=2) == 1
    assert "would not go on to the same bits: threads: 1 -> 2; " in trained.said()
    assert trained.run() == 0
    assert_same(trained, unstopped)


def test_an_inexact_resume_that_was_allowed_is_recorded(trained: Trained) -> None:
    assert trained.run("SIGKILL", 18) == -signal.SIGKILL
    assert trained.run(threads=2, allow_inexact=True) == 0
    found = read_run(trained.folder)
    assert found.inexact == ({"step": 16, "differences": ["threads: 1 -> 2"]},)
    assert found.attested.environment["inexact"] == "after step 16: threads: 1 -> 2"
    assert trained.told() == [("start", 0), ("resume", 16), ("inexact", 16), ("finish", 30)]
    assert [step for step, _ in trained.logged()] == list(range(1, 31))
    assert trained.run(threads=2) == 0
