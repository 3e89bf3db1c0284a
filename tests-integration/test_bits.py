"""Same inputs, same bits: a training stage killed at any moment, and a clone elsewhere, end in the same bundle."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Codex

KILLS = int(os.environ.get("CODEX_KILLS") or (100 if os.environ.get("CODEX_MATRIX") == "full" else 10))
SMALL = """\
[pipeline]
name = "small"
seed = 7

[stores.texts]
url = "file:texts"

[stages.corpus]
uses = "connectors.pull"
with = { from = "store://texts" }
outputs = ["corpus"]

[stages.train]
uses = "train.lm"
inputs = ["corpus"]
with = { steps = 60, save_every = 7, batch_size = 4, context = 32, layers = 1, width = 32, heads = 2 }
outputs = ["model"]

[stages.evaluate]
uses = "train.evaluate"
inputs = ["model", "corpus"]
outputs = ["evaluation.json"]

[stages.audit]
uses = "analysis.audit"
inputs = ["corpus"]
outputs = ["audit.json"]

[stages.package]
uses = "deploy.package"
inputs = ["model", "evaluation.json", "audit.json"]
outputs = ["bundle"]
with = { name = "small" }
"""


def write_project(root: Path, deploying: Callable[[str], str]) -> Path:
    (root / "texts").mkdir(parents=True)
    for number in range(40):
        lines = (f"def function_{number}_{line}(value):\n    return value + {line}\n\n" for line in range(40))
        (root / f"texts/part{number}.py").write_text("".join(lines))
    (root / "codex.toml").write_text(SMALL + deploying("small"))
    return root


def digests(codex: Codex, root: Path) -> dict[str, str]:
    """The bundle digest, and the digests of both status blocks."""
    verified = codex("verify", "bundle", "--json", cwd=root)
    assert verified.exit == 0, verified.out
    return {
        "bundle": verified.json["digest"],
        "deployed": json.loads((root / "deployed/status.json").read_text())["digest"],
        "offer": json.loads((root / "offer.json").read_text())["digest"],
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, deploying: Callable[[str], str]) -> Path:
    """A project that was run once, without a disturbance."""
    root = write_project(tmp_path_factory.mktemp("finished") / "a project", deploying)
    done = subprocess.run(
        [sys.executable, "-m", "codex_cli", "run"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def test_a_second_run_is_all_fresh_and_both_outcomes_verify(codex: Codex, finished: Path) -> None:
    run = codex("run", "--json", cwd=finished)
    assert run.exit == 0
    assert {stage["state"] for stage in run.json["stages"]} == {"fresh"}
    assert codex("verify", "deployed", cwd=finished).exit == 0
    assert codex("verify", "bundle", cwd=finished).exit == 0
    assert codex("verify", "model", cwd=finished).exit == 0


def test_a_project_in_another_folder_and_time_zone_ends_in_the_same_digests(
    codex: Codex, finished: Path, tmp_path: Path, deploying: Callable[[str], str]
) -> None:
    other = write_project(tmp_path / "elsewhere", deploying)
    run = codex("run", cwd=other, TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="9")
    assert run.exit == 0, run.out + run.err
    assert digests(codex, other) == digests(codex, finished)
    for name in ("model/model.safetensors", "model/config.json", "evaluation.json", "audit.json"):
        assert (other / name).read_bytes() == (finished / name).read_bytes(), name


def test_training_is_stale_where_another_kernel_would_round_otherwise(codex: Codex, finished: Path) -> None:
    stages = codex("plan", "--json", cwd=finished, ATEN_CPU_CAPABILITY="default").json["stages"]
    why = {stage["name"]: stage["why"] for stage in stages}
    assert "environment ATEN_CPU_CAPABILITY: None -> 'default'" in why["train"]
    assert why["corpus"] == []


@pytest.mark.matrix
@pytest.mark.timeout(1800)
def test_training_killed_at_random_moments_goes_on_to_the_same_bundle(
    codex: Codex, finished: Path, tmp_path: Path, deploying: Callable[[str], str]
) -> None:
    chance = random.Random(3)
    root = write_project(tmp_path / "killed", deploying)
    assert codex("run", "--only", "corpus", cwd=root).exit == 0
    checkpoints = root / ".codex/runs/train"
    kills = 0
    for attempt in range(3 * KILLS):
        if kills == KILLS:
            break
        number = signal.SIGTERM if attempt % 4 == 3 else signal.SIGKILL
        with subprocess.Popen([sys.executable, "-m", "codex_cli", "run"], cwd=root, stdout=subprocess.PIPE) as process:
            _wait_for_training(process, checkpoints)
            try:
                process.wait(chance.uniform(0, 0.4))
            except subprocess.TimeoutExpired:
                process.send_signal(number)
                kills += 1
            process.communicate()
        if (root / ".codex/records/train.json").exists():  # it finished before the kill: begin again
            (root / ".codex/records/train.json").unlink()
            shutil.rmtree(checkpoints)
    assert kills == KILLS
    run = codex("run", cwd=root)
    assert run.exit == 0, run.out + run.err
    assert digests(codex, root) == digests(codex, finished)


def _wait_for_training(process: subprocess.Popen[bytes], runs: Path) -> None:
    """Until the training process of this run is at work, or the run is over."""
    deadline = time.monotonic() + 60
    while process.poll() is None and not any(runs.glob("*/run.json")):
        assert time.monotonic() < deadline
        os.sched_yield()
