"""The process of one ``uses`` stage, inside its seal: a fork of the keeper, or where that will not do, a Python.

    python -m codex_cli.pipeline.stage_process JOB RESULT       (two descriptors)

The guard is installed before the stage's code is imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from codex_cli.pipeline.job import Job, Result, actor_of, read_job, write_result
from codex_cli.pipeline.uses import function_file, is_function, load_stage, validate_params
from codex_core.errors import CodexError, PolicyRefused, Problem
from codex_core.offline import guard
from codex_core.offline.reporter import ADDRESS, Reporter
from codex_core.stage import StageContext

if TYPE_CHECKING:
    from pathlib import Path


def run_forked(job_file: int, result_file: int) -> int:
    """Run a job in a process that was forked from another program, as if it were a Python of its own."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    atexit._clear()  # what was left to be done at the end of that program is not for this one
    sys.argv[1:] = []
    sys.dont_write_bytecode = True
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - they stay open until the process ends
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
    try:
        return run_job(job_file, result_file)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the end of an interpreter does
        atexit._run_exitfuncs()


def run_job(job_file: int, result_file: int) -> int:
    """Run the job and leave its result; the exit status is 0 if the stage finished."""
    job, result = read_job(job_file), Result()
    try:
        _run(job, result)
    except SystemExit as ending:
        if ending.code not in {None, 0}:
            result.problems = (Problem("stage.failed", f"the stage ended itself with {ending.code!r}"),)
            result.exit = 1
    except Exception as error:  # noqa: BLE001 - a stage may raise anything; its traceback is in the log
        _fail(result, error)
    result.finished = True
    write_result(result_file, result)
    return result.exit


def _run(job: Job, result: Result) -> None:
    reporter = Reporter(os.environ[ADDRESS])
    atexit.register(reporter.flush)
    record = reporter.record
    guard.install(job.policy, stage=job.stage, actor=actor_of(job.uses), record=record, now=lambda: datetime.now(UTC))
    stage = load_stage(job.uses, job.root)
    if is_function(job.uses):
        _let_children_import(function_file(job.uses, job.root), job.folder.with_name("code"))
    context = StageContext(
        stage=job.stage,
        folder=job.folder,
        inputs=tuple(job.folder / path for path in job.inputs),
        outputs=tuple(job.folder / path for path in job.outputs),
        seed=job.seed,
        stores=job.stores,
        policy=job.policy,
        now=job.now,
        record=record,
        pin=result.sources.__setitem__,
        root=job.root,
        runs=job.runs,
        forced=job.forced,
        targets=job.targets,
        attestation=job.attestation,
        history=job.history,
    )
    stage(context, validate_params(stage, job.params))


def _let_children_import(file: Path, folder: Path) -> None:
    """Let processes that multiprocessing spawns import the stage's module, and no other that lies beside it."""
    folder.mkdir()
    shutil.copy(file, folder)
    sys.path.append(str(folder))


def _fail(result: Result, error: Exception) -> None:
    """Say how the stage failed: 77 if a refusal is behind it, even one that a library wrapped."""
    refused = _refusal_behind(error)
    if refused is not None:
        result.refusal, result.fallbacks = refused.decision, refused.fallbacks
    known = refused or error
    if isinstance(known, CodexError):
        print(known, file=sys.stderr)
        result.problems, result.exit = known.problems, known.exit_code
    else:
        traceback.print_exception(error)
        result.problems, result.exit = (Problem("stage.failed", f"{type(error).__name__}: {error}"),), 1


def _refusal_behind(error: BaseException | None) -> PolicyRefused | None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, PolicyRefused):
            return error
        seen.add(id(error))
        reason = getattr(error, "reason", None)  # where urllib's URLError keeps what it wrapped
        error = error.__cause__ or error.__context__ or (reason if isinstance(reason, BaseException) else None)
    return None


if __name__ == "__main__":
    sys.exit(run_job(*map(int, sys.argv[1:])))
