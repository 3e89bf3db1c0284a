"""What there is to say of a run folder, and the run folders below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError
from codex_train.checkpoint_folder import list_checkpoints, step_of
from codex_train.journal import last_values
from codex_train.run_file import RUN_FILE, RunFile, read_run
from codex_train.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class RunView:
    """A run as it is seen from outside. ``holder`` is the pid of the process that works in it."""

    path: Path
    file: RunFile
    holder: int | None
    last: dict[str, object]
    checkpoints: tuple[int, ...]

    @property
    def state(self) -> str:
        """As run.json says; ``killed`` where that says ``running`` and no process works in the folder."""
        return "killed" if self.file.state == "running" and self.holder is None else self.file.state

    def summary(self) -> dict[str, object]:
        """What a list shows of it."""
        loss = self.last.get("loss")
        return {
            "path": str(self.path),
            "state": self.state,
            "task": self.file.identity.made_from.get("task"),
            "step": self.file.step,
            "steps": self.file.steps,
            "loss": loss if isinstance(loss, float) else None,
        }

    def to_json(self) -> dict[str, object]:
        """All of it."""
        model = RunFolder(self.path).model
        return {
            **self.file.to_json(),
            **self.summary(),
            "checkpoints": list(self.checkpoints),
            "last": self.last,
            "model": str(model) if model.exists() else None,
            "pid": self.holder,
        }


def view_run(path: Path) -> RunView:
    """The run in the folder ``path``; ConfigError if it is none."""
    folder = RunFolder(path)
    file = read_run(path)
    saved = tuple(map(step_of, list_checkpoints(folder.checkpoints)))
    return RunView(path, file, folder.holder(), last_values(folder.events), saved)


def find_runs(folders: tuple[Path, ...]) -> Iterator[RunView | ConfigError]:
    """Every run below ``folders``, by its path; the error instead of one whose run.json cannot be read.

    A run.json beside no checkpoints may be anybody's, and is passed over where it is none of ours.
    """
    for folder in folders:
        for path, below, names in os.walk(folder):
            if RUN_FILE in names:
                below.clear()  # a run holds no runs
                try:
                    yield view_run(Path(path))
                except ConfigError as error:
                    if RunFolder(Path(path)).checkpoints.is_dir():
                        yield error
            below.sort()
