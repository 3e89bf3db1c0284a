"""Examination: what a run would do, and where each stage stands, without running or writing anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codex_cli.pipeline.freshness import Today
from codex_cli.pipeline.records import read_json, read_record
from codex_cli.pipeline.reports import PipelineReport, StageReport, recorded_report
from codex_cli.pipeline.state import StateFolder
from codex_core.errors import CodexError
from codex_core.locks import holder

if TYPE_CHECKING:
    from datetime import datetime

    from codex_cli.pipeline.model import Pipeline


def plan(pipeline: Pipeline, *, now: datetime) -> PipelineReport:
    """Each stage, fresh or stale, and why a run would run it; one behind a stale stage may turn out fresh."""
    today, state = Today(pipeline, now), StateFolder(pipeline.root)
    reports: dict[str, StageReport] = {}
    for stage in pipeline.stages.values():
        behind = tuple(f"stage {need!r} runs first" for need in stage.needs if reports[need].state == "stale")
        record = read_record(state.record(stage.name))
        try:
            why = (*today.why_stale(stage, record), *behind)
        except CodexError as error:
            why = (*(problem.message for problem in error.problems), *behind)
        report = recorded_report(stage.name, record)
        reports[stage.name] = replace(report, state="stale", why=why) if why else report
    return PipelineReport(pipeline.name, tuple(reports.values()))


def status(pipeline: Pipeline, *, now: datetime) -> PipelineReport:
    """Where each stage stands: as ``plan`` says, and how it last failed, and whether a run is under way."""
    state = StateFolder(pipeline.root)
    stages = tuple(_with_failure(report, state) for report in plan(pipeline, now=now).stages)
    return PipelineReport(pipeline.name, stages, holder=holder(state.lock))


def _with_failure(report: StageReport, state: StateFolder) -> StageReport:
    failure = read_json(state.failure(report.name))
    if report.state == "fresh" or failure.get("state") not in {"failed", "refused"}:
        return report
    state_then, why = failure["state"], tuple(failure["why"])
    return replace(report, state=state_then, why=why, at=failure["at"], seconds=failure["seconds"])
