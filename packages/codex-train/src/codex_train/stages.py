"""Stages: ``train.TASK``, which makes a model folder of a data folder, and ``train.evaluate``, which judges one.

A training stage works in a run folder that outlives it, named for what the model is made from. Killed at any moment, it
goes on there when it runs again with the same inputs and parameters, and a finished run's model is handed over again.
A run whose model was handed over is trained anew where the stage was asked for once more, by ``--force``.
"""

from __future__ import annotations

import os
import shutil
import zlib
from typing import TYPE_CHECKING, ClassVar

from codex_core.digest import digest_folder, digest_json
from codex_core.errors import InexactResume, PluginUnknown, StageFailed
from codex_core.registry import Registry
from codex_core.shape import Shape
from codex_train.durable import remove_folder, replace_file
from codex_train.machine import installed_environment
from codex_train.run_folder import RunFolder
from codex_train.signals import RunInterrupted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from codex_core.stage import Stage, StageContext
    from codex_core.task import Task
    from codex_train.config import EvaluateParams
    from codex_train.launch import Job

HANDED_OVER = "handed-over"
"""The file in a run folder that says that its model became a stage's output; it holds the model folder's digest."""
KEPT_RUNS = 3
"""How many run folders of a stage stay, its newest."""


class TrainFamily:
    """The stage ``train``, used as ``train.TASK`` with any task of ``codex.tasks``."""

    contract: ClassVar[int] = 1

    def member(self, name: str) -> Stage:
        """The stage that trains the task ``name``; PluginUnknown or PluginError if that cannot be had."""
        return TrainStage(name, Registry("codex.tasks").load(name))

    def params(self) -> type:
        """PluginUnknown: a task must be named."""
        raise _no_task()

    def __call__(self, ctx: StageContext, params: object) -> None:
        """PluginUnknown: a task must be named."""
        raise _no_task()


class TrainStage:
    """Input: a data folder. Output: a model folder."""

    contract: ClassVar[int] = 1
    shape: ClassVar[Shape] = Shape(("data",), ("model",))

    def __init__(self, name: str, task: Task) -> None:
        self._name = name
        self._task = task

    def params(self) -> type:
        """The task's own."""
        return self._task.params()

    def plug_ins(self) -> tuple[object, ...]:
        """The task."""
        return (self._task,)

    def environment(self) -> Mapping[str, str]:
        """The libraries, the processor, and what chooses among kernels."""
        return installed_environment()

    def __call__(self, ctx: StageContext, params: Any) -> None:  # Any: an instance of the task's own model
        """Train, from where an earlier attempt stands; StageFailed, after its state was saved, if a signal comes."""
        from codex_train.launch import Job

        ctx.check(self.shape)
        (data,), (output,) = ctx.inputs, ctx.outputs
        job = Job.of(self._name, self._task, params, data, ctx.seed)
        folder = ctx.runs / digest_json(job.made_from).removeprefix("sha256:")[:16]
        if ctx.forced and (folder / HANDED_OVER).exists():
            remove_folder(folder)
        try:
            model = _train(job, folder)
        except RunInterrupted as interrupted:
            hint = "run the stage again: it goes on from there"
            raise StageFailed(f"stage {ctx.stage!r}: {interrupted}", hint=hint) from interrupted
        shutil.copytree(model, output)
        digest = digest_folder(output)
        replace_file(folder / HANDED_OVER, f"{digest}\n".encode())
        _prune(ctx.runs)
        print(f"trained {self._name} in {os.path.relpath(folder, ctx.root)}: {digest}")


class EvaluateStage:
    """Inputs: a model folder and a data folder. Output: one file, evaluation.json."""

    contract: ClassVar[int] = 1
    shape: ClassVar[Shape] = Shape(("model", "data"), ("evaluation.json",))

    def params(self) -> type[EvaluateParams]:
        """``limit`` and ``threads``."""
        from codex_train.config import EvaluateParams

        return EvaluateParams

    def plug_ins(self) -> tuple[object, ...]:
        """Every task that can be had: only the model says which one judges it."""
        tasks = Registry("codex.tasks")
        return tuple(tasks.load(one.name) for one in tasks.plugins() if one.state == "ok")

    def environment(self) -> Mapping[str, str]:
        """As for training, and zlib, whose figure stands beside the model's."""
        return {**installed_environment(), "zlib": zlib.ZLIB_RUNTIME_VERSION}

    def __call__(self, ctx: StageContext, params: EvaluateParams) -> None:
        """Judge the model by what of the data its training left out."""
        from codex_train.evaluation import evaluate_model

        ctx.check(self.shape)
        (model, data), (output,) = ctx.inputs, ctx.outputs
        found = evaluate_model(model, data, limit=params.limit, threads=params.threads)
        output.write_bytes(found)
        print(found.decode(), end="")


train = TrainFamily()
evaluate = EvaluateStage()


def _train(job: Job, folder: Path) -> Path:
    """The model folder. A run that can no longer be finished exactly is begun anew."""
    from codex_train.launch import train as train_job

    try:
        return train_job(job, folder)
    except InexactResume as error:
        print(f"training anew: {error.message}")
        remove_folder(folder)
        return train_job(job, folder)


def _prune(runs: Path) -> None:
    """Remove all but the newest run folders, and what a kill left half removed; none that somebody works in."""
    for left in runs.glob(".*.old"):
        shutil.rmtree(left)
    folders = sorted((path for path in runs.iterdir() if RunFolder(path).is_run), key=lambda path: path.stat().st_mtime)
    for folder in folders[:-KEPT_RUNS]:
        if RunFolder(folder).holder() is None:
            remove_folder(folder)


def _no_task() -> PluginUnknown:
    tasks = ", ".join(f"train.{name}" for name in Registry("codex.tasks").names())
    return PluginUnknown("the stage 'train' needs a task", hint=f"use one of {tasks}")
