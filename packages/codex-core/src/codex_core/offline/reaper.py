"""The init of a seal: it waits for the program, hands signals on to it, and leaves no process when the program ends."""

from __future__ import annotations

import _signal
import os
import select
import time

from codex_core.offline import linux
from codex_core.offline.job import open_terminal

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterable, Iterator

KEEPER_DIED = 64
"""The signal, SIGRTMAX, by which an init that is not that of a pid namespace hears of the keeper's death."""
_STOPPING = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
_KILLED = 137
"""The exit status of an init that was told to end everything."""
_RECENT = 1.0
"""Seconds for which a signal that this process got counts as one that the keeper has still to speak of."""
_ALREADY = 5
"""Milliseconds within which a signal to the whole process group has reached each process of it."""


def watch_over(pid: int, pair: _socket.socket, signals: Iterable[int], *, alone: bool, group: bool) -> int:
    """Wait until the child ``pid`` ends; tell the keeper over ``pair`` how it stopped and ended, and end the rest.

    ``signals`` are those that the keeper hands on; they are blocked when this begins. ``alone``: this is the init of a
    pid namespace, whose end ends everything in it. ``group``: the child leads a process group of its own, which signals
    are then handed to; else it began in the group that the keeper and this process are in.
    """
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    empty = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # who waits for the end of a stream waits for the program's, not for this process's
        os.dup2(empty, number)
    linux.close_all_but((0, 1, 2, pair.fileno(), woken, wake))
    os.chdir("/")
    for number in (_signal.SIGCHLD, *signals):
        _signal.signal(number, lambda *_: None)
    if not alone:
        _signal.signal(KEEPER_DIED, lambda *_: os._exit(_end_all()))
    _signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGCHLD, *signals])  # whoever started Codex may block it
    status = _Watch(pid, pair, woken, group=group).status()
    if not alone:
        _end_all()
    pair.send(f"ended {status}".encode())
    return 0


class _Watch:
    """Sees a child to its end, and does what the keeper says meanwhile."""

    def __init__(self, pid: int, pair: _socket.socket, woken: int, *, group: bool) -> None:
        self._pid, self._pair, self._woken, self._group = pid, pair, woken, group
        self._noted: dict[int, list[float]] = {}
        """When this process has got each signal of which the keeper has not yet spoken."""
        self._had_terminal = False
        """Whether a group that the child has made was the terminal's foreground when the child was last stopped."""

    def status(self) -> int:
        """The wait status that the child ended with."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(self._pair, select.POLLIN)
        while (status := self._collect()) is None:
            for descriptor, _ in poll.poll():
                if descriptor == self._woken:
                    self._note()
                else:
                    self._obey()
        return status

    def _collect(self) -> int | None:
        """Reap what has ended; the status of the child if it is among that."""
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return None
            if child == 0:
                return None
            if child == self._pid and os.WIFSTOPPED(status):
                self._had_terminal = not self._shares_group() and self._holds_terminal()
                self._pair.send(f"stopped {os.WSTOPSIG(status)}".encode())
            elif child == self._pid and os.WIFCONTINUED(status):
                self._pair.send(b"continued")
            elif child == self._pid:
                return status

    def _note(self) -> None:
        try:
            received = os.read(self._woken, 4096)  # each byte is a signal (signal.set_wakeup_fd)
        except BlockingIOError:
            return  # it was read while an order was obeyed
        for number in received:
            if number != _signal.SIGCHLD:
                self._noted.setdefault(number, []).append(time.monotonic())

    def _obey(self) -> None:
        message = self._pair.recv(64).decode().split()
        if not message:  # the keeper has died
            os._exit(_end_all())
        if message[0] == "foreground":
            self._give_terminal()
            return
        number = int(message[1])
        if number == _signal.SIGKILL:
            _send(self._pid, number)  # the others follow it
        elif self._group:
            _send(-self._pid, number)
        elif not self._shares_group():
            leads = _group_of(self._pid) == self._pid
            _send(-self._pid if leads else self._pid, number)
            self._noted.pop(number, None)
        elif not self._was_sent_to_all(number):
            _send(self._pid, number)

    def _was_sent_to_all(self, number: int) -> bool:
        """Whether this process has got the signal that the keeper got, and so the child, which is in the same group."""
        noted = self._noted[number] = [at for at in self._noted.get(number, ()) if time.monotonic() - at < _RECENT]
        if not noted:
            poll = select.poll()
            poll.register(self._woken, select.POLLIN)
            if poll.poll(_ALREADY):
                self._note()
        if self._noted.get(number):
            self._noted[number].pop(0)
            return True
        return number in _STOPPING and bool(self._noted.get(_signal.SIGCONT))  # what came later has undone it

    def _shares_group(self) -> bool:
        return _group_of(self._pid) == os.getpgrp()  # one that this pid namespace does not know is 0

    def _holds_terminal(self) -> bool:
        terminal = open_terminal()
        if terminal is None:
            return False
        try:
            return os.tcgetpgrp(terminal) == _group_of(self._pid)
        except OSError:
            return False
        finally:
            os.close(terminal)

    def _give_terminal(self) -> None:
        """Let the child have the terminal again, which the keeper's group was given in its place."""
        terminal = open_terminal() if self._had_terminal else None
        if terminal is not None:
            before = _signal.signal(_signal.SIGTTOU, _signal.SIG_IGN)
            try:
                os.tcsetpgrp(terminal, _group_of(self._pid))
            except OSError:
                self._had_terminal = False  # the terminal, or the group, is not there any more
            _signal.signal(_signal.SIGTTOU, before)
            os.close(terminal)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return -1


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _end_all() -> int:
    """Kill every descendant, those too that are orphaned to this process meanwhile; returns an exit status."""
    while True:
        for child in _descendants(os.getpid()):
            _send(child, _signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return _KILLED


def _descendants(root: int) -> list[int]:
    parents = dict(_parents())
    found, frontier = [], {root}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += sorted(frontier)
    return found


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent (proc_pid_stat(5)); a zombie too, whose children may have been read before it."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = file.read().rpartition(b") ")[2].split()[1]
            except OSError:
                continue
            yield int(name), int(parent)
