"""The init of a seal: it waits for the program, hands signals on to it, and leaves no process when the program ends."""

from __future__ import annotations

import _signal
import os
import select

from codex_core.offline import linux

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterator

KEEPER_DIED = 64
"""The signal, SIGRTMAX, by which an init that is not that of a pid namespace hears of the keeper's death."""
_KILLED = 137
"""The exit status of an init that was told to end everything."""
_ALREADY = 0.005
"""Seconds within which a signal to the whole process group has reached each process of it."""


def watch_over(pid: int, pair: _socket.socket, *, alone: bool, group: bool) -> int:
    """Wait until the child ``pid`` ends; tell the keeper over ``pair`` how it stopped and ended, and end the rest.

    ``alone``: this is the init of a pid namespace, whose end ends everything in it. ``group``: the child leads a
    process group of its own, which signals are then handed to; else a signal that this process got as well was for the
    whole group that all of them are in.
    """
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    empty = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # who waits for the end of a stream waits for the program's, not for this process's
        os.dup2(empty, number)
    linux.close_all_but((0, 1, 2, pair.fileno(), woken, wake))
    os.chdir("/")
    _signal.signal(_signal.SIGCHLD, lambda *_: None)
    _signal.signal(KEEPER_DIED, lambda *_: os._exit(_end_all()))
    _signal.set_wakeup_fd(wake)
    poll = select.poll()
    poll.register(woken, select.POLLIN)
    poll.register(pair, select.POLLIN)
    status = None
    while status is None:
        status = _collect(pid, pair)
        if status is None:
            for descriptor, _ in poll.poll():
                if descriptor == woken:
                    os.read(woken, 4096)
                else:
                    _obey(pair, pid, group=group)
    if not alone:
        _end_all()
    pair.send(f"ended {status}".encode())
    return 0


def _collect(pid: int, pair: _socket.socket) -> int | None:
    """Reap what has ended; the status of the child ``pid`` if it is among that."""
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return None
        if child == 0:
            return None
        if child == pid and os.WIFSTOPPED(status):
            pair.send(f"stopped {os.WSTOPSIG(status)}".encode())
        elif child == pid:
            return status


def _obey(pair: _socket.socket, pid: int, *, group: bool) -> None:
    message = pair.recv(64).decode().split()
    if not message:  # the keeper has died
        os._exit(_end_all())
    number = int(message[1])
    if number == _signal.SIGKILL:
        _send(pid, number)  # the others follow it
    elif group:
        _send(-pid, number)
    elif _signal.sigtimedwait([number], _ALREADY) is None:
        _send(pid, number)


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
