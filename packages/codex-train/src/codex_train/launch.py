"""Launching: a task trained in a run folder, for the stage ``train`` and for ``codex train start`` and ``resume``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_core.code import code_digest
from codex_core.digest import digest_path
from codex_core.errors import ConfigError
from codex_train.run import Run
from codex_train.run_file import Settings

if TYPE_CHECKING:
    from codex_core.task import Task

SETTINGS = ("threads", "save_every", "keep")
"""Parameters of any task that say how its run is kept; where a task's model has none of the name, a Run's own holds."""


@dataclass(frozen=True)
class Job:
    """What to train. ``model`` holds the ``params``, which decide the weights, and the ``settings``, which do not."""

    name: str
    task: Task
    model: Any  # Any: an instance of the task's own parameter model
    data: Path
    data_digest: str
    seed: int

    @classmethod
    def of(cls, name: str, task: Task, model: Any, data: Path, seed: int) -> Job:  # Any: as above
        """The job for ``data``, which is digested; ConfigError if it is not there."""
        if not data.exists():
            raise ConfigError(f"there is no data: {data} does not exist", hint="name a folder with files to train on")
        return cls(name, task, model, data, digest_path(data), seed)

    @property
    def params(self) -> dict[str, object]:
        """The parameters that decide the weights."""
        return {name: value for name, value in self._told.items() if name not in SETTINGS}

    @property
    def settings(self) -> Settings:
        """The parameters that say how the run is kept."""
        return Settings(**{name: self._told[name] for name in SETTINGS if name in self._told})

    @property
    def made_from(self) -> dict[str, object]:
        """What decides the weights on one machine."""
        return {
            "task": self.name,
            "data": self.data_digest,
            "code": code_digest(self.task),
            "params": self.params,
            "seed": self.seed,
        }

    @property
    def _told(self) -> dict[str, Any]:  # Any: JSON
        return dict(self.model.model_dump(mode="json"))


def train(job: Job, folder: Path, *, allow_inexact: bool = False) -> Path:
    """Train ``job`` in the run folder ``folder``, from where it stands; returns the model folder.

    What Run raises, and what the task does.
    """
    with Run(
        folder,
        seed=job.seed,
        threads=job.settings.threads,
        save_every=job.settings.save_every,
        keep=job.settings.keep,
        task=job.name,
        params=job.params,
        data=job.data,
        data_digest=job.data_digest,
        code_digest=code_digest(job.task),
        allow_inexact=allow_inexact,
    ) as run:
        job.task.train(run, job.model)
        return run.folder.model
