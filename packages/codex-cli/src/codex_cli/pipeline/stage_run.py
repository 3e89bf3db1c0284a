"""One stage from its staging folder to its record: prepared, started, watched by its descriptor, and finished."""

from __future__ import annotations

import os
import secrets
import signal
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from codex_cli.pipeline.environment import stage_environment
from codex_cli.pipeline.job import Result, make_job, read_result, write_job
from codex_cli.pipeline.records import Record, attestations, read_json, record_bytes
from codex_cli.pipeline.reports import StageReport, read_tail
from codex_cli.pipeline.staging import StagingFolder, discard, remove
from codex_cli.pipeline.starter import signal_name
from codex_cli.pipeline.state import write_atomically
from codex_cli.pipeline.uses import tells_refusals
from codex_core.digest import canonical_json
from codex_core.errors import CodexError, ConfigError, PolicyRefused, Problem, StageFailed
from codex_core.ledger import Ledger
from codex_core.offline.attestation import describe_tries, next_step
from codex_core.stage import Attestation

if TYPE_CHECKING:
    from codex_cli.pipeline.freshness import Today
    from codex_cli.pipeline.job import Job
    from codex_cli.pipeline.model import StageSpec
    from codex_cli.pipeline.records import Identity
    from codex_cli.pipeline.starter import Ending, StageProcess, Starter
    from codex_cli.pipeline.state import StateFolder

LOG_TAIL = 15
"""How many lines of a failed stage's log are shown."""


def name_stage(stage: str, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems of a stage, told in a place where a reader does not see which stage it is."""
    return tuple(
        p if repr(stage) in p.message else replace(p, message=f"stage {stage!r}: {p.message}") for p in problems
    )


def write_failure(
    state: StateFolder, stage: str, *, outcome: str, why: tuple[str, ...], at: datetime, seconds: float
) -> None:
    """Note how the stage failed, for ``codex status``; its next success removes the note."""
    failure = {"state": outcome, "why": why, "at": at.isoformat(timespec="seconds"), "seconds": round(seconds, 3)}
    write_atomically(state.failure(stage), canonical_json(failure) + b"\n")


class StageRun:
    """A stage that is being run: constructed when its process has started, ended by ``finish``.

    ``done`` is readable when nothing of the stage is left. CodexError or OSError if it could not be prepared.
    """

    def __init__(
        self,
        stage: StageSpec,
        today: Today,
        state: StateFolder,
        starter: Starter,
        *,
        why: tuple[str, ...],
        forced: bool,
    ) -> None:
        self.stage = stage
        self._today = today
        self._state = state
        self._starter = starter
        self._why = why
        self._forced = forced
        self._began = time.monotonic()
        self._at = datetime.now(UTC)
        if not forced:
            self._refuse_foreign_outputs()
        place = state.staging / f"{stage.name}.{secrets.token_hex(4)}"
        self._folder = StagingFolder(place, stage.inputs, stage.outputs)
        self._identity = self._prepare()
        self._watched = self._folder.watch()
        with ExitStack() as opened:
            self._result_file = os.memfd_create("result")
            opened.callback(os.close, self._result_file)
            with open(state.log(stage.name), "wb") as log:
                self._process = self._start(log.fileno())
            opened.pop_all()

    @property
    def done(self) -> int:
        """A descriptor that is readable once ``finish`` may be called."""
        return self._process.done

    @property
    def seconds(self) -> float:
        """How long the stage has been running."""
        return time.monotonic() - self._began

    def signal(self, number: int) -> None:
        """Send a signal to the stage's process group; SIGKILL ends all of its processes."""
        self._process.signal(number)

    def last_line(self) -> str:
        """What the stage printed last."""
        return "".join(read_tail(self._state.log(self.stage.name), 1))

    def finish(self, *, interrupted: int | None = None) -> StageReport:
        """Publish what the stage made, and write its record last; a stage that failed leaves none.

        ``done`` must be readable.
        """
        self._ending = self._process.wait()
        result = self._take_result(self._ending)
        try:
            if interrupted is not None:
                raise StageFailed(f"stage {self.stage.name!r} was ended by {signal.Signals(interrupted).name}")
            recorded = result.refusal is not None and self.stage.on_refusal == "record"
            return self._publish(result) if recorded or not result.exit else self._failed(result)
        except CodexError as error:
            return self._failed(replace(result, problems=error.problems, exit=error.exit_code, refusal=None))
        except OSError as error:
            message = f"the outputs of stage {self.stage.name!r} could not be published: {error}"
            problem = Problem("stage.failed", message, "see to the file system, then run again")
            return self._failed(replace(result, problems=(problem,), exit=1, refusal=None))
        finally:
            discard(self._folder.place)

    def abandon(self) -> None:
        """End the process at once and leave nothing of it: the run itself is ending."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        os.close(self._result_file)
        discard(self._folder.place)

    def _refuse_foreign_outputs(self) -> None:
        """Overwrite only what an earlier run of this stage made, or was about to publish when it was killed."""
        claims = (self._state.record(self.stage.name), self._state.publication(self.stage.name))
        claimed = {name for claim in claims for name in read_json(claim).get("outputs", ())}
        root = self._today.pipeline.root
        for name in self.stage.outputs:
            if name not in claimed and os.path.lexists(root / name):
                raise StageFailed(
                    f"{name!r} exists, and stage {self.stage.name!r} did not make it, so it is not overwritten",
                    hint=f"move it away, or replace it by codex run --force={self.stage.name}",
                )

    def _prepare(self) -> Identity:
        try:
            inputs = self._folder.prepare(self._today.pipeline.root)
        except FileNotFoundError as error:
            raise ConfigError(f"the input {error.filename!r} of stage {self.stage.name!r} does not exist") from error
        return self._today.identity(self.stage, inputs)

    def _start(self, log: int) -> StageProcess:
        pipeline = self._today.pipeline
        writable = [self._folder.place]
        environment = stage_environment(self.stage, pipeline.seed, os.environ, scratch=self._folder.scratch)
        job_file = os.memfd_create("job")
        try:
            if self.stage.uses is not None:
                write_job(job_file, self._job())
                writable.append(self._state.runs(self.stage.name))
                writable[-1].mkdir(parents=True, exist_ok=True)
            return self._starter.start(
                self.stage,
                folder=self._folder.path,
                writable=writable,
                log=log,
                environment=environment,
                files=() if self.stage.uses is None else (job_file, self._result_file),
            )
        finally:
            os.close(job_file)

    def _job(self) -> Job:
        count, head = Ledger(self._state.ledger).head()
        return make_job(
            self._today.pipeline,
            self.stage,
            folder=self._folder.path,
            state=self._state,
            attestation=Attestation(self._starter.level, self._today.pipeline.policy.digest, count, head),
            history=attestations(self._state, self._today.pipeline, self.stage),
            now=self._at,
            forced=self._forced,
        )

    def _take_result(self, ending: Ending) -> Result:
        """What the stage said of itself, or what its ending says of it."""
        result = self._named_from_root(read_result(self._result_file))
        os.close(self._result_file)
        if ending.problem is not None:
            return replace(result, problems=(ending.problem,), exit=ending.exit, refusal=None)
        status = os.waitstatus_to_exitcode(ending.status or 0)
        if not result.finished and (status != 0 or self.stage.uses is not None):
            how = f"exit status {status}" if status >= 0 else signal_name(-status)
            message, hint = f"stage {self.stage.name!r} ended with {how}", f"its output is in {self._log}"
            result = replace(result, problems=(Problem("stage.failed", message, hint),), exit=1)
        if result.exit and result.refusal is None:
            result = replace(result, problems=(*result.problems, *_explain(ending, self.stage.name)))
        return result

    def _named_from_root(self, result: Result) -> Result:
        """What the stage said, with its inputs and outputs under the names that they have in the project."""
        staging = f"{self._folder.path}{os.sep}"

        def plain(text: str | None) -> str | None:
            return text and text.replace(staging, "")

        problems = tuple(
            replace(one, message=one.message.replace(staging, ""), hint=plain(one.hint), file=plain(one.file))
            for one in result.problems
        )
        return replace(result, problems=problems)

    @property
    def _log(self) -> str:
        return str(self._state.log(self.stage.name).relative_to(self._today.pipeline.root))

    def _publish(self, result: Result) -> StageReport:
        """Say what will be published, publish it, write the record, and take the announcement back, in this order."""
        if result.refusal is not None:
            self._write_refusal(result)
        outputs = self._folder.collect(self._watched)
        root, name = self._today.pipeline.root, self.stage.name
        announcement = self._state.publication(name)
        record = record_bytes(self._record(result, outputs))
        write_atomically(announcement, canonical_json({"outputs": list(outputs)}) + b"\n")
        self._state.record(name).unlink(missing_ok=True)
        self._folder.publish(root)
        for output in outputs:
            self._today.forget(output)
        write_atomically(self._state.record(name), record)
        announcement.unlink()
        self._state.failure(name).unlink(missing_ok=True)
        why = (*self._why, *self._why_recorded(result))
        return self._report(result, state="ran", why=why, outputs=outputs)

    def _write_refusal(self, result: Result) -> None:
        """Make the outputs of a refused stage say so: what it had written of them by then is no output."""
        decision = result.refusal and result.refusal.to_json()
        fallbacks = [fallback.to_json() for fallback in result.fallbacks]
        text = canonical_json({"schema": "codex.refusal/1", "decision": decision, "fallbacks": fallbacks}) + b"\n"
        for name in self.stage.outputs:
            path = self._folder.path / name
            if os.path.lexists(path) and tells_refusals(self.stage.uses, self._today.pipeline.root):
                continue
            remove(path)
            file = path if path.suffix == ".json" else path / "refusal.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text)

    def _why_recorded(self, result: Result) -> tuple[str, ...]:
        """What the policy answered, where the stage's state does not say it."""
        if result.refusal is not None:
            return (f"refused, and recorded: {result.refusal.reason}",)
        refused = sum(not decision.allowed for decision in self._ending.decisions)
        if refused:
            return (f"the policy refused {refused} of its requests (codex ledger show)",)
        tries = describe_tries(self._ending.names, self._ending.attempts, self._ending.unreached)
        return (f"it {tries}",) if tries else ()

    def _record(self, result: Result, outputs: dict[str, str]) -> Record:
        sources = {**self._identity.sources, **result.sources}
        return Record(
            stage=self.stage.name,
            identity=replace(self._identity, sources=sources),
            outputs=outputs,
            decisions=self._ending.decisions,
            refusal=result.refusal,
            observed={
                "at": self._at.isoformat(timespec="seconds"),
                "attestation": self._attestation().to_json(),
                "descriptors": self._ending.descriptors,
                "pid": self._ending.pid,
                "seconds": round(self.seconds, 3),
            },
        )

    def _attestation(self) -> Attestation:
        """What was enforced, now that it has ended."""
        seen = self._ending
        return Attestation(
            self._starter.level,
            self._today.pipeline.policy.digest,
            seen.ledger_entries,
            seen.ledger_head,
            seen.interfaces,
            seen.routes,
            seen.attempts,
        )

    def _failed(self, result: Result) -> StageReport:
        state = "refused" if result.refusal is not None else "failed"
        why = tuple(problem.message for problem in result.problems)
        write_failure(self._state, self.stage.name, outcome=state, why=why, at=self._at, seconds=self.seconds)
        log = read_tail(self._state.log(self.stage.name), LOG_TAIL)
        return replace(
            self._report(result, state=state, why=why),
            log=log,
            exit=result.exit or 1,
            problems=name_stage(self.stage.name, result.problems),
        )

    def _report(self, result: Result, **members: object) -> StageReport:
        return StageReport(
            name=self.stage.name,
            seconds=round(self.seconds, 3),
            at=self._at.isoformat(timespec="seconds"),
            refusal=result.refusal,
            fallbacks=result.fallbacks,
            **members,  # type: ignore[arg-type]  # state, why and outputs, from the two callers above
        )


def _explain(ending: Ending, stage: str) -> tuple[Problem, ...]:
    """What of a failed stage's end the network has to do with, even if a library swallowed it."""
    if ending.last_refusal is not None:
        told = PolicyRefused(ending.last_refusal).problems[0]
        return (replace(told, message=f"its last refused request: {told.message}"),)
    tries = describe_tries(ending.names, ending.attempts, ending.unreached, ending.vain)
    is_refused = ending.unreached is None and (ending.names or ending.attempts)
    code = PolicyRefused.code if is_refused else StageFailed.code
    return (Problem(code, f"it {tries}", next_step(ending.names, stage)),) if tries else ()
