"""The pipeline runner: what ``codex run``, ``plan`` and ``status`` do, without the command line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_cli.pipeline.examination import plan, status
    from codex_cli.pipeline.file import locate, read_pipeline
    from codex_cli.pipeline.keeping import run_sealed
    from codex_cli.pipeline.model import Pipeline, StageSpec
    from codex_cli.pipeline.progress import Progress
    from codex_cli.pipeline.reports import PipelineReport, StageReport
    from codex_cli.pipeline.runner import RunOptions, run
    from codex_cli.pipeline.starter import Starter
    from codex_cli.pipeline.summary import describe_plan, describe_run, describe_status

_HOMES = {
    "Pipeline": "model",
    "PipelineReport": "reports",
    "Progress": "progress",
    "RunOptions": "runner",
    "StageReport": "reports",
    "StageSpec": "model",
    "Starter": "starter",
    "describe_plan": "summary",
    "describe_run": "summary",
    "describe_status": "summary",
    "locate": "file",
    "plan": "examination",
    "read_pipeline": "file",
    "run": "runner",
    "run_sealed": "keeping",
    "status": "examination",
}

__all__ = [
    "Pipeline",
    "PipelineReport",
    "Progress",
    "RunOptions",
    "StageReport",
    "StageSpec",
    "Starter",
    "describe_plan",
    "describe_run",
    "describe_status",
    "locate",
    "plan",
    "read_pipeline",
    "run",
    "run_sealed",
    "status",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
