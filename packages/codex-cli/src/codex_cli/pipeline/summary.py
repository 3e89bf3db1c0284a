"""What a person reads of a run, a plan and a status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_cli.explanation import RULE_TABLE
from codex_cli.pipeline.freshness import NEVER_RAN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codex_cli.pipeline.reports import PipelineReport, StageReport
    from codex_core.policy import Decision

_SIGNS = {"ran": "+", "fresh": "=", "stale": "~", "failed": "x", "refused": "!", "skipped": "-"}
_NAME_WIDTH = 14


def describe_run(report: PipelineReport) -> str:
    """The stages with what they made, refusals with what to do about them, failures with the tail of their logs."""
    head = f"{report.pipeline}: {_count(report)}, guard level {report.guard}"
    return "\n".join((head, "", *_stages(report.stages), "", _closing(report)))


def describe_plan(report: PipelineReport) -> str:
    """What a run would do, and why."""
    stale = sum(stage.state == "stale" for stage in report.stages)
    closing = (
        f"{stale} of {len(report.stages)} stages would run" if stale else "every stage is fresh: nothing would run"
    )
    return "\n".join((report.pipeline, "", *_stages(report.stages), "", closing))


def describe_status(report: PipelineReport) -> str:
    """Where each stage stands, and since when."""
    under_way = "no run is under way" if report.holder is None else f"a run is under way (pid {report.holder})"
    return "\n".join((report.pipeline, "", *_stages(report.stages, times=True), "", under_way))


def stage_line(stage: StageReport, *, times: bool = False) -> str:
    """One stage in one line: its state, its name, how long it took, and what it made."""
    timed = stage.seconds is not None and (times or stage.state != "fresh")
    seconds = f"{stage.seconds:.1f} s" if timed else ""
    made = ", ".join(stage.outputs)
    when = f"  {stage.at}" if times and stage.at else ""
    return f"  {_SIGNS[stage.state]} {stage.name:<{_NAME_WIDTH}} {stage.state:<8} {seconds:>8}  {made}{when}".rstrip()


def _count(report: PipelineReport) -> str:
    return f"{len(report.stages)} stage{'s' if len(report.stages) != 1 else ''}"


def _stages(stages: Iterable[StageReport], *, times: bool = False) -> Iterator[str]:
    for stage in stages:
        yield stage_line(stage, times=times)
        yield from (f"      {line}" for line in _details(stage))


def _details(stage: StageReport) -> Iterator[str]:
    if stage.refusal is not None and stage.state == "fresh":
        yield f"refused by the policy, as recorded: {stage.refusal.reason}"
    elif stage.refusal is not None:
        yield from _refusal(stage, stage.refusal)
    elif stage.why != (NEVER_RAN,) or stage.state != "ran":
        yield from stage.why
        for hint in filter(None, (problem.hint for problem in stage.problems)):
            yield from _remedy(hint) if hint.startswith(RULE_TABLE) else [f"next: {hint}"]
    if stage.log and stage.refusal is None:
        yield "the end of its log:"
        yield from (f"  {line}" for line in stage.log)


def _refusal(stage: StageReport, decision: Decision) -> Iterator[str]:
    """Why the policy refused, what would allow it, and what could be used instead."""
    yield f"refused by the policy: {decision.reason}"
    if decision.remedy:
        yield from _remedy(decision.remedy)
    if stage.fallbacks:
        yield "fallbacks, which hold the same things:"
        yield from (f"  {_fallback(f.store, f.reason, usable=f.usable)}" for f in stage.fallbacks)


def _remedy(remedy: str) -> Iterator[str]:
    yield "to allow it, put this into the pipeline file:" if remedy.startswith(RULE_TABLE) else "what to do:"
    yield from (f"  {line}" for line in remedy.splitlines())


def _fallback(store: str, reason: str, *, usable: bool) -> str:
    return f"{store:<{_NAME_WIDTH}} {'usable' if usable else 'not usable'}: {reason}"


def _closing(report: PipelineReport) -> str:
    states = [stage.state for stage in report.stages]
    if all(state == "fresh" for state in states):
        return "every stage is fresh: nothing ran"
    counts = ", ".join(f"{states.count(state)} {state}" for state in _SIGNS if state in states)
    recorded = sum(stage.refusal is not None and stage.state in {"ran", "fresh"} for stage in report.stages)
    told = f" ({recorded} with its refusal recorded)" if recorded else ""
    return f"{counts}{told}, in {report.seconds or 0:.1f} s"
