"""Reports: how each stage stands or ended, and what a run ends with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_cli.pipeline.records import Record
    from codex_core.errors import Problem
    from codex_core.policy import Decision
    from codex_core.storage import Fallback

State = Literal["ran", "fresh", "stale", "failed", "refused", "skipped"]
_TAIL_BYTES = 16384
_LONGEST_LINE = 400


@dataclass(frozen=True)
class StageReport:
    """One stage: its state and why, and what of its last run a person wants to see.

    ``exit`` is the code that it would end a run with; ``at`` is when it ran, RFC 3339; ``log`` the tail of what a
    failed stage printed. ``refusal`` is there for a refused stage, also where the refusal was recorded as its output.
    """

    name: str
    state: State
    why: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    exit: int = 0
    seconds: float | None = None
    at: str | None = None
    problems: tuple[Problem, ...] = ()
    refusal: Decision | None = None
    fallbacks: tuple[Fallback, ...] = ()
    log: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The object that ``stages`` of ``run``, ``plan`` and ``status`` shows."""
        return {"name": self.name, "state": self.state, "why": list(self.why), "outputs": dict(self.outputs)}


@dataclass(frozen=True)
class PipelineReport:
    """All stages in their order. ``guard`` is the level that was enforced; ``holder`` the pid of a run under way."""

    pipeline: str
    stages: tuple[StageReport, ...]
    exit: int = 0
    guard: str | None = None
    holder: int | None = None
    seconds: float | None = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What went wrong, stage by stage."""
        return tuple(problem for stage in self.stages for problem in stage.problems)

    @property
    def stale(self) -> bool:
        """Whether a run would do anything."""
        return any(stage.state != "fresh" for stage in self.stages)


def recorded_report(stage: str, record: Record | None) -> StageReport:
    """A stage by its record alone: fresh, with what it made and when; stale if it has none."""
    if record is None:
        return StageReport(stage, "stale")
    at, seconds = record.observed.get("at"), record.observed.get("seconds")
    return StageReport(
        stage,
        "fresh",
        outputs=record.outputs,
        refusal=record.refusal,
        at=at if isinstance(at, str) else None,
        seconds=seconds if isinstance(seconds, float | int) else None,
    )


def read_tail(log: Path, lines: int) -> tuple[str, ...]:
    """The last ``lines`` lines of a log; what is not UTF-8 in it is replaced."""
    try:
        with open(log, "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(_shown(line) for line in text.splitlines() if line.strip())[-lines:]


def _shown(line: str) -> str:
    """A line without what would steer a terminal, and not longer than a person reads."""
    plain = "".join(char if char.isprintable() else " " for char in line[: _LONGEST_LINE + 1])
    return plain if len(plain) <= _LONGEST_LINE else plain[:_LONGEST_LINE] + "..."
