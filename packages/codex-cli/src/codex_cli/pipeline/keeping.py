"""The keeper of a run: the process outside the seals, which starts the runner and each stage that it asks for."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from codex_cli.answers import interrupted, outcome
from codex_cli.pipeline.job import actor_of, private_copy, uses_of
from codex_cli.pipeline.stage_process import run_forked
from codex_cli.pipeline.starter import SIGNAL, START, Ending, Starter, signal_name, write_ending
from codex_cli.pipeline.state import StateFolder
from codex_core.command import Reply
from codex_core.errors import (
    CodexError,
    ConfigError,
    GuardUnavailable,
    LedgerUnavailable,
    Problem,
    StageFailed,
    UsageError,
)
from codex_core.ledger import Ledger
from codex_core.offline import guard, linux, pinned
from codex_core.offline.doors import openings_for, unopened_for
from codex_core.offline.environment import sealed_environment
from codex_core.offline.keeper import Keeper
from codex_core.offline.mounts import View
from codex_core.offline.probe import settle
from codex_core.offline.recorder import Recorder, to_ledger
from codex_core.offline.reporter import ADDRESS, LEVEL, Reporter
from codex_core.offline.seal import Program, execute
from codex_core.policy import CLI, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from codex_core.offline.attestation import Observation
    from codex_core.offline.seal import Seal
    from codex_core.policy import Policy

_LONGEST_REQUEST = 4096
_OF_START = 4
"""Descriptors that a request to start a stage brings at the least."""
_AT_START = re.compile("(PYTHON|LD_|GLIBC_|MALLOC_|LC_).*|LANG|LANGUAGE|LOCPATH|TZ|TZDIR")
"""The variables that a program reads at its start alone: a fork cannot follow a change of them."""
_OF_SEALS = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
"""Those among them that every stage has, and that a fork can follow."""


class StageKeeper:
    """Starts what the runner asks for at the other end of ``control``, and tells it how each stage ended.

    ``forsaken``: the runner has gone, and its stages with it.
    """

    def __init__(
        self,
        keeper: Keeper,
        control: socket.socket,
        *,
        file: Path,
        policy: Policy,
        append: Callable[[str, Mapping[str, object]], None],
    ) -> None:
        self._keeper, self._control, self._append = keeper, control, append
        self._root, self._file, self._policy = file.parent, file, policy
        self._seals: dict[int, Seal] = {}
        self.forsaken = False
        keeper.watch(control.fileno(), self._obey)

    @property
    def idle(self) -> bool:
        """Whether no stage is running."""
        return not self._seals

    def _obey(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._control, _LONGEST_REQUEST, 8)
        if not message:  # the runner has ended
            self._end_run()
            return
        try:
            number, request, sent = _read_order(message, descriptors)
        except (ValueError, TypeError, LookupError, OSError, RecursionError):  # a plug-in has written here: it ends
            self._end_run()
            number, request, sent = 0, None, 0
        if request is not None:
            self._start(request, number, *descriptors)
            return
        for descriptor in descriptors:
            os.close(descriptor)
        if sent and number in self._seals:
            self._seals[number].signal(sent)

    def _end_run(self) -> None:
        """Hear no more of the runner, and end its stages."""
        self._keeper.unwatch(self._control.fileno())
        self._control.close()
        self.forsaken = True
        for seal in self._seals.values():
            seal.signal(signal.SIGKILL)

    def _start(
        self,
        request: Mapping[str, Any],  # Any: JSON of Starter.start
        number: int,
        asked: int,
        ending: int,
        told: int,
        log: int,
        *files: int,
    ) -> None:
        unopened = unopened_for(self._policy, request["stage"], datetime.now(UTC).date())
        recorder = Recorder(request["stage"], lambda: self._policy, self._append, unopened)
        handed = tuple(os.readlink(f"/proc/self/fd/{one}") for one in (log, *files))  # noqa: PTH115 - they are text

        def end(status: int | None, seen: Observation | None, error: CodexError | None) -> None:
            self._seals.pop(number, None)
            pid = seal.pid if seal is not None else 0
            if recorder.broker_lost and status:
                error = StageFailed(
                    f"the broker was ended while stage {recorder.stage!r} ran, and from then on everything was refused",
                    hint="run again",
                )
            write_ending(ending, self._ending(recorder, status, pid, seen, recorder.fault or error, handed))
            os.close(ending)
            os.close(told)

        seal: Seal | None = None
        try:
            program = self._program(request, log, files)
            seal = self._keeper.start(program, recorder, lambda status, seen: end(status, seen, None))
            self._seals[number] = seal
        except CodexError as error:
            end(None, None, error)
        finally:
            for descriptor in (asked, log, *files):
                os.close(descriptor)

    def _program(self, request: Mapping[str, Any], log: int, files: Sequence[int]) -> Program:  # Any: Starter.start
        """What the runner asks for; ConfigError if it may not be had."""
        state = str(StateFolder(self._root).path)
        environment = request["environment"]
        for path in (*request["writable"], environment["TMPDIR"]):  # the runner has loaded plug-ins
            if ".." in path.split("/") or not path.startswith((f"{state}/staging/", f"{state}/runs/")):
                raise ConfigError(f"the runner wants to let a stage write to {path}")
            if os.path.realpath(path) != os.path.realpath(state) + path[len(state) :]:
                raise ConfigError(
                    f"{path} is or lies behind a link, by which a stage could write elsewhere", hint="remove the link"
                )
        return Program(
            _call(request, files),
            folder=request["folder"],
            environment=environment,
            view=View(
                kept=kept_folders(self._root),
                read_only=(state, str(self._file)),
                writable=request["writable"],
                temporary=environment["TMPDIR"],
            ),
            openings=openings_for(
                self._policy, request["stage"], datetime.now(UTC).date(), actor=_actor(request, files)
            ),
            output=log,
            handed=files,
            own_group=True,
        )

    def _ending(
        self,
        recorder: Recorder,
        status: int | None,
        pid: int,
        seen: Observation | None,
        error: CodexError | None,
        descriptors: tuple[str, ...],
    ) -> Ending:
        entries, head = Ledger(StateFolder(self._root).ledger).head()
        return Ending(
            status=status,
            pid=pid,
            problem=error.problems[0] if error else None,
            exit=error.exit_code if error else 0,
            decisions=tuple(recorder.decisions),
            last_refusal=recorder.last_refusal,
            names=tuple(recorder.names),
            unreached=recorder.unreached,
            vain=recorder.vain,
            descriptors=descriptors,
            ledger_entries=entries,
            ledger_head=head,
            interfaces=seen.interfaces if seen else None,
            routes=seen.routes if seen else None,
            attempts=seen.attempts if seen else None,
        )


def kept_folders(root: Path) -> tuple[str, ...]:
    """What a runner or a stage needs to see, wherever it lies: the project, and the Python that runs it."""
    code = os.path.dirname(__file__)  # noqa: PTH120
    return (str(root), os.getcwd(), sys.prefix, sys.base_prefix, code)  # noqa: PTH109


@contextmanager
def keeper_beside(file: Path, policy: Policy, *, required: str) -> Iterator[Starter]:
    """A keeper in a process of its own, for a runner that is not sealed itself; GuardUnavailable below ``required``.

    It ends, with every stage, when this process does or leaves the context.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _keep_beside(theirs, file, policy, required)
    theirs.close()
    try:
        said = json.loads(ours.recv(_LONGEST_REQUEST))
        if "error" in said:
            raise GuardUnavailable(said["error"], hint=said["hint"])
        yield Starter(ours, level=said["level"], pid=pid)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _read_order(
    message: bytes, descriptors: Sequence[int]
) -> tuple[int, dict[str, Any] | None, int]:  # Any: JSON of Starter.start
    """The number of a stage, and what it is to be started by, or the signal that it is to get.

    ValueError, TypeError, LookupError or RecursionError if that is not as Starter writes it.
    """
    kind, number, *rest = json.loads(message)
    if not isinstance(number, int):
        raise TypeError("stages have numbers")
    if kind == SIGNAL:
        (sent,) = rest
        return number, None, sent if sent in signal.valid_signals() else 0
    if kind != START or len(descriptors) < _OF_START:
        raise ValueError("a stage is started with its request, its ending, its end and its log")
    request = json.loads(os.pread(descriptors[0], os.fstat(descriptors[0]).st_size, 0))
    environment = dict(request["environment"])
    texts = [request["stage"], request["folder"], *request["writable"], *environment.keys(), *environment.values()]
    if not all(isinstance(text, str) for text in (*texts, environment["TMPDIR"], request["command"] or "")):
        raise TypeError("every member of a request is text")
    return number, request, 0


def _actor(request: Mapping[str, Any], files: Sequence[int]) -> str:  # Any: JSON of Starter.start
    """Who runs as the stage. What is told of its job stays true: from now on the runner cannot change it."""
    if request["command"] is not None:
        return PROGRAM
    job = private_copy(files[0])
    os.dup2(job, files[0])
    os.close(job)
    return actor_of(uses_of(files[0]))


def _call(request: Mapping[str, Any], files: Sequence[int]) -> Callable[[], int]:  # Any: JSON of Starter.start
    if request["command"] is not None:
        return lambda: execute(["/bin/sh", "-c", request["command"]])
    if _at_start(request["environment"]) == _at_start(os.environ):
        return lambda: run_forked(*files)
    words = [sys.executable, "-P", "-m", "codex_cli.pipeline.stage_process", *map(str, files)]
    return lambda: execute(words)


def _at_start(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environ.items() if _AT_START.fullmatch(name) and name not in _OF_SEALS}


def _keep_beside(control: socket.socket, file: Path, policy: Policy, required: str) -> None:
    """Be the keeper until the runner at the other end has gone; never returns."""
    status = 1
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        keeper = Keeper(required=required, meanwhile=_pin)
        keeper.take_signals()
        answer = _level(keeper)
        control.send(json.dumps(answer).encode())
        if "level" in answer:
            append = to_ledger(str(StateFolder(file.parent).ledger))
            stages = StageKeeper(keeper, control, file=file, policy=policy, append=append)
            keeper.serve(None, lambda: stages.forsaken and stages.idle)
        status = 0
    finally:
        os._exit(status)


def _level(keeper: Keeper) -> dict[str, str | None]:
    try:
        settle(keeper)
    except GuardUnavailable as error:
        return {"error": error.message, "hint": error.hint}
    return {"level": keeper.level.name if keeper.level else None}


def run_sealed(file: Path, *, required: str, policy: Policy, call: Callable[[Starter], Reply]) -> Reply:
    """What ``call``, the runner, answers from a seal; this process is its keeper until it and every stage have ended.

    ``policy`` judges the runner and every stage.

    GuardUnavailable if ``required`` cannot be had.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    answer = os.memfd_create("answer")
    endings: list[int] = []
    state = StateFolder(file.parent)
    is_new = not state.path.exists()
    ledger = _prepare(file, state)
    keeper = Keeper(required=required, meanwhile=_pin)
    keeper.take_signals()
    try:
        append = to_ledger(str(state.ledger), known=os.fstat(ledger))
        stages = StageKeeper(keeper, ours, file=file, policy=policy, append=append)
        program = Program(
            _runner(call, theirs, answer, policy),
            folder=os.getcwd(),  # noqa: PTH109
            environment=sealed_environment(os.environ),
            # outputs are published by rename, and that leads into no other mount: so the ledger has none around it
            view=View(kept=kept_folders(file.parent), read_only=(str(file),), movable=(str(state.ledger),)),
            handed=(theirs.fileno(), answer),
        )
        recorder = Recorder(CLI, lambda: policy, append)
        seal = keeper.start(program, recorder, lambda status, _: endings.append(status))
        theirs.close()
        keeper.serve(seal, lambda: bool(endings) and stages.idle)
    finally:
        keeper.close()
        ours.close()
        replaced = _is_replaced(state.ledger, ledger)
        if is_new and not replaced:
            _take_away(state)
    data = os.pread(answer, os.fstat(answer).st_size, 0)
    os.close(answer)
    if replaced:
        raise LedgerUnavailable(
            f"{state.ledger} was replaced while this ran", hint="a plug-in that the run loads has done that"
        )
    return _read_reply(data) if data else _killed(endings[0])


def _runner(call: Callable[[Starter], Reply], control: socket.socket, answer: int, policy: Policy) -> Callable[[], int]:
    """What the runner does in its seal: it writes what ``call`` answers into the file ``answer``."""
    keeper = os.getpid()

    def end_interrupted(*_: object) -> NoReturn:
        # No exception: one raised where a plug-in is loaded may be swallowed, and at a terminal a second one comes.
        os.pwrite(answer, _reply_bytes(interrupted(stages=[])), 0)
        os._exit(0)

    def run() -> int:
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is in a script's background
            signal.signal(signal.SIGINT, end_interrupted)
        starter = Starter(control, level=os.environ[LEVEL], pid=keeper)
        reporter = Reporter(os.environ[ADDRESS])
        guard.install(policy, stage=CLI, actor="runner", record=reporter.record, now=lambda: datetime.now(UTC))
        reply = outcome(lambda: call(starter), os.environ)
        reporter.flush()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.pwrite(answer, _reply_bytes(reply), 0)
        return 0

    return run


def _pin() -> None:
    pinned.pin(sockets=True)  # what is needed of this package has long been imported


def _prepare(file: Path, state: StateFolder) -> int:
    """Make the ledger before anything starts that could make another one; ConfigError for links in its way.

    Returns a descriptor of it.
    """
    for path in (file, state.path, state.ledger):
        if path.is_symlink():
            raise ConfigError(f"{path} is a symbolic link, which no seal can protect", hint="put the file itself there")
    if ADDRESS in os.environ and state.path.exists() and not os.access(state.path, os.W_OK):
        raise UsageError(
            f"{state.path} is read-only inside a seal", hint="run the pipeline outside: each of its stages gets a seal"
        )
    state.create()
    state.ledger.touch(mode=0o600)
    return os.open(state.ledger, os.O_PATH | os.O_CLOEXEC)


def _take_away(state: StateFolder) -> None:
    """Remove a state folder that was made for a run that did not begin; one with anything in it stays."""
    files = [path for path in state.path.rglob("*") if not path.is_dir() and path.stat().st_size]
    if {path.name for path in files} <= {".gitignore"}:
        shutil.rmtree(state.path, ignore_errors=True)


def _is_replaced(path: Path, descriptor: int) -> bool:
    """Whether ``path`` is no longer the file that ``descriptor`` is of; closes that."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _reply_bytes(reply: Reply) -> bytes:
    return json.dumps({**vars(reply), "errors": [problem.to_json() for problem in reply.errors]}).encode()


def _read_reply(data: bytes) -> Reply:
    said = json.loads(data)
    return Reply(said["body"], said["text"], said["exit"], tuple(Problem(**problem) for problem in said["errors"]))


def _killed(status: int) -> Reply:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGINT:  # it came before the runner had begun
        return interrupted(stages=[])
    how = f"was ended by {signal_name(-code)}" if code < 0 else f"ended with exit status {code}"
    problem = Problem("run.killed", f"the runner {how}, and every stage with it", "run again: nothing needs unlocking")
    return Reply({"stages": []}, exit=128 - code if code < 0 else 1, errors=(problem,))
