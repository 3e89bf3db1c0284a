"""The package's face: its names, what importing it costs, and what its entry points name."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points, version

import codex_train
from codex_train.command_list import COMMANDS
from codex_train.stages import EvaluateStage, TrainFamily
from codex_train.tasks import LmTask

HEAVY = ["torch", "numpy", "safetensors", "pydantic", "typer", "asyncio"]


def loaded_by(code: str) -> list[str]:
    report = f"import json, sys\n{code}\nprint(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout)
    return names


def test_all_names_what_is_importable_and_nothing_else() -> None:
    assert codex_train.__all__ == [
        "Checkpoint",
        "Run",
        "RunFile",
        "RunInterrupted",
        "__version__",
        "list_checkpoints",
        "read_checkpoint",
        "read_run",
    ]
    assert all(getattr(codex_train, name) is not None for name in codex_train.__all__)
    assert not hasattr(codex_train, "nothing")


def test_version_is_what_the_metadata_says() -> None:
    assert codex_train.__version__ == version("codex-train")


def test_importing_loads_the_standard_library_only() -> None:
    assert loaded_by("import codex_train") == []


def test_run_can_be_imported_before_torch_whose_threads_it_sets() -> None:
    assert loaded_by("from codex_train import Run") == []


def test_planning_a_training_stage_loads_no_torch() -> None:
    assert loaded_by("from codex_train.stages import train; train.member('lm').params()") == ["pydantic"]


def test_listing_runs_loads_no_torch() -> None:
    assert loaded_by("import codex_train.listing") == []


def test_entry_points_name_the_commands_the_stages_and_the_task() -> None:
    (commands,) = entry_points(group="codex.commands", name="train")
    (train,) = entry_points(group="codex.stages", name="train")
    (evaluate,) = entry_points(group="codex.stages", name="train.evaluate")
    (lm,) = entry_points(group="codex.tasks", name="lm")
    assert commands.load() is COMMANDS
    assert isinstance(train.load(), TrainFamily)
    assert isinstance(evaluate.load(), EvaluateStage)
    assert isinstance(lm.load(), LmTask)
