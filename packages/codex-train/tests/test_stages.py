"""The stages: killed at any moment they end in the same model, and they say what they were not given."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_core.checkpoint import check_folder, read_manifest
from codex_core.code import code_digest
from codex_core.digest import digest_folder
from codex_core.errors import ConfigError, PluginUnknown
from codex_core.policy import Policy
from codex_core.stage import Attestation, Stage, StageContext, StageFamily
from codex_train import read_run
from codex_train.config import EvaluateParams, LmParams
from codex_train.stages import HANDED_OVER, evaluate, train
from codex_train.tasks import language_model

if TYPE_CHECKING:
    from conftest import Staged


def context(folder: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> StageContext:
    return StageContext(
        stage="it",
        folder=folder,
        inputs=tuple(folder / name for name in inputs),
        outputs=tuple(folder / name for name in outputs),
        seed=7,
        stores={},
        policy=Policy(),
        now=datetime(2026, 3, 4, tzinfo=UTC),
        record=lambda decision: None,
        pin=lambda place, digest: None,
        root=folder,
        runs=folder / "runs",
        forced=False,
        targets={},
        attestation=Attestation("python", Policy().digest, 0, None),
    )


def test_the_family_has_a_member_for_each_task() -> None:
    assert isinstance(train, StageFamily)
    assert isinstance(train.member("lm"), Stage)
    assert train.member("lm").params() is LmParams
    with pytest.raises(PluginUnknown, match="no task 'ml' is installed; there are lm"):
        train.member("ml")


def test_the_family_itself_names_its_members() -> None:
    with pytest.raises(PluginUnknown, match=r"the stage 'train' needs a task; use one of train\.lm"):
        train.params()


def test_the_output_is_a_model_folder_made_from_what_it_says(published: Staged) -> None:
    folder = published.folder / "model"
    manifest = read_manifest(folder)
    assert list(check_folder(folder, manifest)) == []
    assert [entry.path for entry in manifest.files] == ["config.json", "model.safetensors"]
    assert manifest.step == 12
    params = manifest.made_from["params"]
    assert isinstance(params, dict)
    assert {"threads", "save_every", "keep"}.isdisjoint(params)
    assert {**manifest.made_from, "params": params["steps"]} == {
        "task": "lm",
        "data": digest_folder(published.folder / "data"),
        "code": code_digest(language_model),
        "params": 12,
        "seed": 7,
    }
    (run,) = published.runs()
    assert (published.folder / "runs" / run / HANDED_OVER).read_text() == f"{digest_folder(folder)}\n"


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 13, 21, 34])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_killed_at_any_moment_it_ends_in_the_same_model(call: str, at: int, staged: Staged, published: Staged) -> None:
    assert staged.run(f"{call} SIGKILL", at) in {-signal.SIGKILL, 0}  # there are fewer renames than syncs
    assert staged.run() == 0
    assert staged.model() == published.model()
    assert staged.runs() == published.runs()


def test_killed_again_and_again_it_ends_in_the_same_model(staged: Staged, published: Staged) -> None:
    for _ in range(5):
        assert staged.run("fsync SIGKILL", 11) == -signal.SIGKILL
    assert staged.run() == 0
    assert staged.model() == published.model()


def test_at_a_signal_it_saves_fails_and_says_that_the_next_run_goes_on(staged: Staged, published: Staged) -> None:
    assert staged.run("fsync SIGTERM", 9) == 1
    told = "StageFailed: stage 'train': SIGTERM ended the run after step 4, which is saved; run the stage again"
    assert told in staged.said()
    (run,) = staged.runs()
    assert read_run(staged.folder / "runs" / run).state == "interrupted"
    assert not (staged.folder / "model").exists()
    assert staged.run() == 0
    assert "going on from step 4 of 12" in staged.said()
    assert staged.model() == published.model()


def test_a_run_whose_model_was_handed_over_and_lost_hands_it_over_again(staged: Staged, published: Staged) -> None:
    """As after a kill between the stage's end and the publication of its output."""
    assert (staged.run(), staged.run()) == (0, 0)
    assert "going on from step 12 of 12" in staged.said()
    assert staged.model() == published.model()


def test_a_run_whose_model_was_handed_over_is_made_anew_where_that_is_asked_for(
    staged: Staged, published: Staged
) -> None:
    assert (staged.run(), staged.run(forced=True)) == (0, 0)
    assert "going on" not in staged.said()
    assert staged.model() == published.model()


def test_a_finished_run_whose_model_was_not_handed_over_is_gone_on_with(staged: Staged, published: Staged) -> None:
    assert staged.run() == 0
    (run,) = staged.runs()
    (staged.folder / "runs" / run / HANDED_OVER).unlink()
    assert staged.run() == 0
    assert "going on from step 12 of 12" in staged.said()
    assert staged.model() == published.model()


def test_other_parameters_or_data_get_a_run_of_their_own_and_the_newest_three_stay(staged: Staged) -> None:
    assert staged.run() == 0
    for seen, (steps, width) in enumerate([(3, 8), (4, 8), (3, 16)], 2):
        assert staged.run(steps=steps, width=width) == 0
        assert len(staged.runs()) == min(seen, 3)
    (staged.folder / "runs" / ".half-removed.old" / "checkpoints").mkdir(parents=True)
    (staged.folder / "data" / "0.txt").write_bytes(b"other content\n" * 9)
    before = [name for name in staged.runs() if not name.startswith(".")]
    assert staged.run(steps=3) == 0
    assert staged.runs()[:2] == before[1:]
    assert len(staged.runs()) == 3


def test_settings_that_decide_no_bits_change_neither_the_run_nor_the_model(staged: Staged, published: Staged) -> None:
    assert staged.run(save_every=5, keep=1) == 0
    assert staged.model() == published.model()
    assert staged.runs() == published.runs()


def test_a_run_that_cannot_be_gone_on_with_exactly_is_begun_anew(staged: Staged, published: Staged) -> None:
    assert staged.run("fsync SIGTERM", 9, threads=2) == 1
    assert staged.run() == 0
    assert "going on" not in staged.said()
    assert staged.model() == published.model()


def test_the_judgement_is_the_same_bytes_each_time(published: Staged, tmp_path: Path) -> None:
    found = []
    for name in ("one.json", "other.json"):
        evaluate(context(published.folder, ("model", "data"), (name,)), EvaluateParams())
        found.append((published.folder / name).read_bytes())
        (published.folder / name).unlink()
    assert found[0] == found[1]
    assert json.loads(found[0])["figures"]["files"] == 1


@pytest.mark.parametrize(
    ("stage", "inputs", "outputs", "told"),
    [
        (train.member("lm"), (), ("model",), "stage 'it' has 0 inputs, and takes data"),
        (train.member("lm"), ("data",), ("a", "b"), "stage 'it' has 2 outputs, and makes model"),
        (evaluate, ("model",), ("e.json",), "stage 'it' has 1 input, and takes model and data"),
        (train.member("lm"), ("absent",), ("model",), "there is no data: "),
    ],
)
def test_what_a_stage_was_not_given_is_told(
    stage: Stage, inputs: tuple[str, ...], outputs: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        stage(context(tmp_path, inputs, outputs), stage.params()())
    assert caught.value.message.startswith(told)
    assert list(tmp_path.iterdir()) == []
