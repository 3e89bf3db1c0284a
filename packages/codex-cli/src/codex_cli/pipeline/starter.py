"""The starter: the runner's way to the keeper, which starts each stage in a seal of its own."""

from __future__ import annotations

import array
import json
import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.errors import GuardUnavailable, Problem
from codex_core.policy import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from codex_cli.pipeline.model import StageSpec

START, SIGNAL = "start", "signal"
"""What the runner asks the keeper for."""


def signal_name(number: int) -> str:
    """What a signal is called; those of real time have numbers alone."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(frozen=True)
class Ending:
    """How the process of a stage ended, as the keeper saw it.

    ``status`` is its wait status, None if it was never started; ``problem`` is what kept it from starting, or what
    ended it, where that was not the stage itself. ``decisions`` are all that it reported, each once, and
    ``last_refusal`` is the last refusal among them; ``names`` were looked up in vain, ``unreached`` says why what was
    allowed could not be reached, and ``vain`` what was tried where nobody could be met. ``descriptors``
    are the files that it was handed open, beside an empty standard input. The other members are those of an
    Attestation.
    """

    status: int | None
    pid: int
    problem: Problem | None
    exit: int
    decisions: tuple[Decision, ...]
    last_refusal: Decision | None
    names: tuple[str, ...]
    unreached: str | None
    vain: str | None
    descriptors: tuple[str, ...]
    ledger_entries: int
    ledger_head: str | None
    interfaces: tuple[str, ...] | None
    routes: tuple[str, ...] | None
    attempts: int | None


class StageProcess:
    """A stage's process; ``done`` becomes readable when it, and all that it started, has ended."""

    def __init__(self, starter: Starter, number: int, done: int, ending: int) -> None:
        self._starter, self._number, self._ending = starter, number, ending
        self.done = done

    def signal(self, number: int) -> None:
        """Send a signal to the stage's process group; SIGKILL ends all that it started."""
        self._starter.ask([SIGNAL, self._number, number])

    def wait(self) -> Ending:
        """How it ended, once it has; closes ``done``."""
        os.read(self.done, 1)
        os.close(self.done)
        data = os.pread(self._ending, os.fstat(self._ending).st_size, 0)
        os.close(self._ending)
        if not data:
            raise GuardUnavailable("the keeper ended before the stage did", hint="run again")
        return read_ending(data)


class Starter:
    """Asks the keeper at the other end of ``control`` to start stages; ``level`` is the guard level of all of them.

    ``pid`` is the keeper's, as the host sees it.
    """

    def __init__(self, control: socket.socket, *, level: str, pid: int) -> None:
        self._control = control
        self._started = 0
        self.level, self.pid = level, pid

    def start(
        self,
        stage: StageSpec,
        *,
        folder: Path,
        writable: Sequence[Path],
        log: int,
        environment: Mapping[str, str],
        files: tuple[int, ...] = (),
    ) -> StageProcess:
        """Start the stage in ``folder``, with its output going to ``log``.

        ``files`` are the job and the result of a ``uses`` stage. ``writable`` is what of the state folder it may write
        to.
        """
        self._started += 1
        request = {
            "stage": stage.name,
            "command": stage.command,
            "folder": str(folder),
            "writable": list(map(str, writable)),
            "environment": dict(environment),
        }
        asked, ending = os.memfd_create("request"), os.memfd_create("ending")
        done, told = os.pipe()
        try:
            os.write(asked, json.dumps(request).encode())
            self.ask([START, self._started], asked, ending, told, log, *files)
        finally:
            os.close(asked)
            os.close(told)
        return StageProcess(self, self._started, done, ending)

    def ask(self, message: list[str | int], *descriptors: int) -> None:
        """Send a request to the keeper."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self._control.sendmsg([json.dumps(message).encode()], rights)


def write_ending(descriptor: int, ending: Ending) -> None:
    """Write ``ending`` into a memory file."""
    said = {
        **vars(ending),
        "problem": ending.problem and ending.problem.to_json(),
        "decisions": [decision.to_json() for decision in ending.decisions],
        "last_refusal": ending.last_refusal and ending.last_refusal.to_json(),
    }
    os.pwrite(descriptor, json.dumps(said).encode(), 0)


def read_ending(data: bytes) -> Ending:
    """The ending that a memory file holds."""
    said = json.loads(data)
    lists = {
        name: None if said[name] is None else tuple(said[name])
        for name in ("interfaces", "routes", "names", "descriptors")
    }
    told = {
        "problem": said["problem"] and Problem(**said["problem"]),
        "decisions": tuple(Decision.from_json(decision) for decision in said["decisions"]),
        "last_refusal": said["last_refusal"] and Decision.from_json(said["last_refusal"]),
    }
    return Ending(**{**said, **lists, **told})
