"""A codex command with a home, a cache and a working folder of its own; and a project to run pipelines in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_cli.pipeline.examination import plan, status
from codex_cli.pipeline.file import read_pipeline
from codex_cli.pipeline.reports import PipelineReport, StageReport
from codex_cli.pipeline.runner import RunOptions, run
from codex_cli.pipeline.stage_run import StageRun

Ended = tuple[int, str, str]
"""What a process left: its exit code, stdout and stderr, both whole."""

Codex = Callable[..., Ended]


@pytest.fixture(autouse=True, scope="session")
def hang_up() -> None:
    """Signals are as in a terminal: whoever runs the tests may ignore this one (nohup), and so would commands."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def codex(tmp_path: Path) -> Codex:
    """Run ``python -m codex_cli`` with some words, in an empty folder; ``env`` adds to its environment."""
    work = tmp_path / "work"
    work.mkdir()
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("CODEX_", "PYTHON", "XDG_"))}

    def run(*words: str, env: Mapping[str, str] | None = None, cwd: Path = work) -> Ended:
        environ = {**plain, "XDG_CACHE_HOME": str(tmp_path / "cache"), **(env or {})}
        done = subprocess.run(
            [sys.executable, "-m", "codex_cli", *words],
            check=False,
            env=environ,
            cwd=cwd,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    return run


class Mark(str):
    """A word for the command line of a process, by which it is found wherever it lives."""

    def processes(self) -> list[int]:
        """Who bears it, by pid."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def ends(self) -> bool:
        """Whether nobody bears it within 20 seconds from now."""
        deadline = time.monotonic() + 20
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.processes()


@pytest.fixture
def mark() -> Iterator[Mark]:
    """A word that no process bears afterwards."""
    word = Mark(f"mark-{uuid.uuid4()}")
    yield word
    assert word.processes() == []


NOW = datetime(2026, 5, 1, tzinfo=UTC)


class Silence:
    """A watcher that shows nothing and remembers what ended."""

    def __init__(self) -> None:
        self.ended_stages: list[str] = []

    def running(self, stages: Sequence[StageRun]) -> None:
        assert stages

    def ended(self, stage: StageReport) -> None:
        self.ended_stages.append(stage.name)


@dataclass(frozen=True)
class Project:
    root: Path

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(textwrap.dedent(text))

    def run(self, options: RunOptions | None = None, overrides: Sequence[str] = ()) -> PipelineReport:
        pipeline = read_pipeline(self.root / "codex.toml", overrides)
        return run(pipeline, options or RunOptions(), Silence())

    def plan(self, overrides: Sequence[str] = (), now: datetime = NOW) -> PipelineReport:
        return plan(read_pipeline(self.root / "codex.toml", overrides), now=now)

    def status(self) -> PipelineReport:
        return status(read_pipeline(self.root / "codex.toml"), now=NOW)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """``codex WORDS`` as a process of its own, in the project's folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "codex_cli", *words],
            cwd=self.root,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def project(tmp_path: Path) -> Callable[[dict[str, str]], Project]:
    def make(files: dict[str, str]) -> Project:
        made = Project(tmp_path / "a project")
        made.write(files)
        return made

    return make
