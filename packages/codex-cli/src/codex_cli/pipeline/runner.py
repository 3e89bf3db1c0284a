"""The runner: runs what is stale, in order, and says of every stage how it ended."""

from __future__ import annotations

import os
import selectors
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from codex_cli.pipeline.freshness import Today
from codex_cli.pipeline.keeping import keeper_beside
from codex_cli.pipeline.records import read_record
from codex_cli.pipeline.reports import PipelineReport, StageReport, recorded_report
from codex_cli.pipeline.stage_run import StageRun, name_stage, write_failure
from codex_cli.pipeline.staging import discard
from codex_cli.pipeline.state import StateFolder
from codex_core.errors import CodexError, Problem, UsageError
from codex_core.locks import Lock
from codex_core.offline import levels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codex_cli.pipeline.model import Pipeline, StageSpec
    from codex_cli.pipeline.records import Record
    from codex_cli.pipeline.starter import Starter

GRACE = 30.0
"""Seconds that a stage is given to end after it was asked to."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a run in order: its stages first."""
_TICK = 0.2


class Watcher(Protocol):
    """Who is told of a run while it goes on."""

    def running(self, stages: Sequence[StageRun]) -> None:
        """These stages are running; called several times a second."""
        ...

    def ended(self, stage: StageReport) -> None:
        """This stage has ended, or needed no run."""
        ...


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked for: ``only`` some stages, ``force`` some or (``all``) all, ``jobs`` at a time."""

    only: tuple[str, ...] = ()
    force: tuple[str, ...] = ()
    force_all: bool = False
    jobs: int = 1
    refresh: bool = False
    require_guard: str = levels.DEFAULT


def run(pipeline: Pipeline, options: RunOptions, watcher: Watcher, starter: Starter | None = None) -> PipelineReport:
    """Run what is stale; RunLocked if another run works here, GuardUnavailable if the level cannot be had.

    How stages fail is in the report, whose ``exit`` is that of the first that did, 130 or 143 after a signal. Without a
    ``starter`` the stages are sealed, and this process, which loads plug-ins, is not.
    """
    _check(pipeline, options)
    if starter is None:
        with keeper_beside(pipeline.file, pipeline.policy, required=options.require_guard) as beside:
            return run(pipeline, options, watcher, beside)
    state = StateFolder(pipeline.root)
    state.create()
    with Lock(state.lock, where=pipeline.root, pid=starter.pid), _signals() as received:
        _discard_staging(state)
        going = _Run(pipeline, options, state, watcher, starter, received)
        try:
            return going.go()
        finally:
            going.close()
            _discard_staging(state)


def _check(pipeline: Pipeline, options: RunOptions) -> None:
    levels.check_name(options.require_guard)
    for name in (*options.force, *options.only):
        if name not in pipeline.stages:
            raise UsageError(f"there is no stage {name!r}", hint=f"the stages are {', '.join(pipeline.stages)}")
    if options.jobs < 1:
        raise UsageError(f"--jobs {options.jobs} is not a number of stages", hint="use 1 or more")


def _discard_staging(state: StateFolder) -> None:
    """Remove what a killed run left: only one run works here, and its processes have ended with it."""
    for place in list(state.staging.iterdir()):
        discard(place)


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Note the signals that end a run instead of dying of them, so that a publication is never cut by one.

    One that is ignored at the start stays ignored, as in the background of a script.
    """
    received = _Signals()
    heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, received.note) for number in heard}
    wakeup = signal.set_wakeup_fd(received.writer, warn_on_full_buffer=False)
    try:
        yield received
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        received.close()


class _Signals:
    """The signals that came, and a descriptor that becomes readable when one does."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.numbers: list[int] = []

    def note(self, number: int, _frame: object) -> None:
        self.numbers.append(number)

    def drain(self) -> None:
        os.read(self.reader, 4096)

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@dataclass
class _Run:
    """One run: ``waiting`` stages become ``running`` ones when what they need has ended, and then reports."""

    pipeline: Pipeline
    options: RunOptions
    state: StateFolder
    watcher: Watcher
    starter: Starter
    received: _Signals
    reports: dict[str, StageReport] = field(default_factory=dict)
    running: dict[int, StageRun] = field(default_factory=dict)
    first_failure: StageReport | None = None
    asked_to_end: float | None = None

    def __post_init__(self) -> None:
        self.waiting = dict(self.pipeline.stages)
        self.today = Today(self.pipeline, datetime.now(UTC), refresh=self.options.refresh)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.received.reader, selectors.EVENT_READ)
        self.began = time.monotonic()

    def go(self) -> PipelineReport:
        while self.waiting or self.running:
            while self._start_next():
                continue
            if self.running:
                self._wait()
            elif self.waiting:
                self._skip_rest()
        stages = tuple(self.reports[name] for name in self.pipeline.stages)
        seconds = round(time.monotonic() - self.began, 3)
        return PipelineReport(self.pipeline.name, stages, self._exit(), self.starter.level, seconds=seconds)

    def close(self) -> None:
        """Leave no process behind, however the run ended."""
        for run in self.running.values():
            run.abandon()
        self.selector.close()

    def _exit(self) -> int:
        if self.received.numbers:
            return 128 + self.received.numbers[0]
        return self.first_failure.exit if self.first_failure else 0

    def _start_next(self) -> bool:
        """Start, or settle without starting, one stage that is ready; False if there is none."""
        if self.first_failure or self.received.numbers or len(self.running) >= self.options.jobs:
            return False
        unsettled = {*self.waiting, *(run.stage.name for run in self.running.values())}
        for name, stage in self.waiting.items():
            if unsettled.isdisjoint(stage.needs):
                del self.waiting[name]
                self._begin(stage)
                return True
        return False

    def _begin(self, stage: StageSpec) -> None:
        left_out = self._left_out(stage.name)
        if left_out:
            self._settle(StageReport(stage.name, "skipped", (left_out,)))
            return
        try:
            record = read_record(self.state.record(stage.name))
            why = self._why(stage, record)
            if not why:
                self._settle(recorded_report(stage.name, record))
                return
            run = StageRun(stage, self.today, self.state, self.starter, why=why, forced=self._forced(stage))
        except CodexError as error:
            self._settle(self._unstarted(stage, error.problems, error.exit_code))
        except OSError as error:
            problem = Problem("stage.failed", f"stage {stage.name!r} could not be started: {error}")
            self._settle(self._unstarted(stage, (problem,), 1))
        else:
            self.running[run.done] = run
            self.selector.register(run.done, selectors.EVENT_READ)

    def _unstarted(self, stage: StageSpec, problems: tuple[Problem, ...], code: int) -> StageReport:
        why = tuple(problem.message for problem in problems)
        write_failure(self.state, stage.name, outcome="failed", why=why, at=datetime.now(UTC), seconds=0)
        return StageReport(stage.name, "failed", why, exit=code, problems=name_stage(stage.name, problems))

    def _forced(self, stage: StageSpec) -> bool:
        return self.options.force_all or stage.name in self.options.force

    def _why(self, stage: StageSpec, record: Record | None) -> tuple[str, ...]:
        if self._forced(stage):
            return ("it was asked for with --force",)
        return self.today.why_stale(stage, record)

    def _wait(self) -> None:
        self.watcher.running(tuple(self.running.values()))
        for key, _ in self.selector.select(_TICK):
            if key.fd == self.received.reader:
                self.received.drain()
            else:
                self._end(self.running[key.fd])
        if self.received.numbers and self.running:
            self._ask_to_end()

    def _ask_to_end(self) -> None:
        """Ask the running stages to end; kill them after the grace, or when asked a second time."""
        if self.asked_to_end is None:
            self.asked_to_end = time.monotonic()
            for run in self.running.values():
                run.signal(signal.SIGTERM)
        elif len(self.received.numbers) > 1 or time.monotonic() - self.asked_to_end > GRACE:
            for run in self.running.values():
                run.signal(signal.SIGKILL)

    def _end(self, run: StageRun) -> None:
        del self.running[run.done]
        self.selector.unregister(run.done)
        self._settle(run.finish(interrupted=self.received.numbers[0] if self.received.numbers else None))

    def _settle(self, report: StageReport) -> None:
        self.reports[report.name] = report
        if report.state in {"failed", "refused"} and self.first_failure is None:
            self.first_failure = report
        self.watcher.ended(report)

    def _skip_rest(self) -> None:
        cause = f"{self.first_failure.name!r} failed" if self.first_failure else ""
        if self.received.numbers:
            cause = "the run was interrupted"
        for name in self.waiting:
            self._settle(StageReport(name, "skipped", (self._left_out(name) or cause,)))
        self.waiting.clear()

    def _left_out(self, stage: str) -> str:
        """Why ``stage`` is not run though others are; empty if it is."""
        only = self.options.only
        return f"only {' and '.join(map(repr, only))} was asked for" if only and stage not in only else ""
