"""Processes that train, and what they leave: shared by the tests of runs and stages."""

from __future__ import annotations

import multiprocessing
import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codex_core.events import read_events

HERE = Path(__file__).parent
STEPS = 30

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["torch._dynamo", "codex_train.loop"])


@dataclass(frozen=True)
class Trained:
    """A run folder, and what the script in it is asked to do."""

    folder: Path

    def run(self, fault: str = "", at: int = 0, **options: Any) -> int:  # Any: what Run takes
        """Run the script to its end; returns its exit status, negative for a signal that killed it."""
        return _start("mlp_script.py", self.folder, self._errors, fault, at, {"save_every": 4, **options})

    @property
    def _errors(self) -> Path:
        return self.folder.with_name("stderr")

    def said(self) -> str:
        """What the script's last run wrote to stderr."""
        return self._errors.read_text()

    @property
    def checkpoints(self) -> list[str]:
        """The names in the folder of checkpoints."""
        return sorted(path.name for path in (self.folder / "checkpoints").iterdir())

    def final(self) -> dict[str, bytes]:
        """The tensor files of the last checkpoint."""
        place = self.folder / "checkpoints" / f"step-{STEPS:08}"
        return {path.name: path.read_bytes() for path in sorted(place.glob("*.safetensors"))}

    def logged(self) -> list[tuple[int | None, Any]]:  # Any: a loss
        """Every logged step with its loss."""
        events = read_events(self.folder / "events.ndjson")
        return [(event.step, event.values["loss"]) for event in events if event.kind == "step"]

    def told(self) -> list[tuple[str, int | None]]:
        """What the events tell of the run itself."""
        events = read_events(self.folder / "events.ndjson")
        return [(event.kind, event.step) for event in events if event.kind != "step"]


@dataclass(frozen=True)
class Staged:
    """The folder of a pipeline with a training stage."""

    folder: Path

    def run(self, fault: str = "", at: int = 0, **params: Any) -> int:  # Any: the stage's parameters
        """Run the stage; returns its exit status, negative for a signal that killed it."""
        return _start("stage_script.py", self.folder, self._errors, fault, at, params)

    @property
    def _errors(self) -> Path:
        return self.folder / "stderr"

    def said(self) -> str:
        """What the stage's last run wrote to stderr."""
        return self._errors.read_text()

    def model(self) -> dict[str, bytes]:
        """The model's files."""
        return {path.name: path.read_bytes() for path in sorted((self.folder / "model").iterdir())}

    def runs(self) -> list[str]:
        """The names of the run folders, oldest first."""
        return [path.name for path in sorted((self.folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime)]


def _start(script: str, folder: Path, errors: Path, fault: str, at: int, options: dict[str, Any]) -> int:  # Any: JSON
    given = {"folder": str(folder), "options": options, "fault": fault, "at": at, "errors": str(errors)}
    arguments = {"init_globals": {"given": given}, "run_name": "__main__"}
    process = _server.Process(target=runpy.run_path, args=(str(HERE / script),), kwargs=arguments)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def _stage(folder: Path) -> Staged:
    (folder / "data").mkdir(parents=True)
    for number in range(5):
        (folder / "data" / f"{number}.txt").write_bytes(b"a line of text\n" * (number + 3))
    return Staged(folder)


@pytest.fixture
def staged(tmp_path: Path) -> Staged:
    """A pipeline whose training stage has not run."""
    return _stage(tmp_path / "pipeline")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """One whose training stage was never stopped."""
    found = _stage(tmp_path_factory.mktemp("published") / "pipeline")
    assert found.run() == 0
    return found


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    """A folder in which nothing was trained yet."""
    return Trained(tmp_path / "run")


@pytest.fixture(scope="session")
def unstopped(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run that was never stopped."""
    found = Trained(tmp_path_factory.mktemp("unstopped") / "run")
    assert found.run() == 0
    return found
