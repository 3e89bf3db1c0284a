"""The keeper: the one process outside the seals. It starts them, records what is decided inside, and outlives them.

It has one thread and forks from it, so it never waits for one seal while others want something: everything is a
descriptor that becomes readable, and a handler for it.
"""

from __future__ import annotations

import _signal
import _socket
import os
import select

from codex_core.offline import levels, linux, seal
from codex_core.offline.attestation import observe
from codex_core.offline.reporter import ADDRESS, LONGEST_MESSAGE

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_core.offline.attestation import Observation
    from codex_core.offline.levels import Fault
    from codex_core.offline.recorder import Recorder
    from codex_core.offline.seal import Program, Seal

FORWARDED = (
    *(_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2),
    *(_signal.SIGALRM, _signal.SIGTSTP, _signal.SIGCONT, _signal.SIGWINCH),
)
"""The signals that the program gets in the keeper's place."""


_MOST_CONNECTIONS = 256
"""From inside one seal at a time; a program that wants more is hung up on, so that others get theirs."""


class Keeper:
    """Starts programs in seals and serves them until they end.

    ``required`` is the lowest level that will do. The level of the first program is that of all later ones.
    """

    def __init__(self, *, required: str = levels.DEFAULT) -> None:
        self.level: levels.Level | None = None
        self.faults: list[Fault] = []
        self._required = required
        self._handlers: dict[int, Callable[[], None]] = {}
        self._poll = select.poll()
        self._received: list[int] = []
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, object] = {}
        self._wakeup_before = _signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)

    def take_signals(self) -> None:
        """From now on, note the signals that are meant for the program; one that is ignored stays ignored."""
        for number in FORWARDED:
            if _signal.getsignal(number) is not _signal.SIG_IGN:
                self._before[number] = _signal.signal(number, lambda number, _: self._received.append(number))

    def close(self) -> None:
        """Give the signals back. Every program must have ended."""
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 0)
        _signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            _signal.signal(number, handler)
        os.close(self._woken)
        os.close(self._wake)

    def start(self, program: Program, recorder: Recorder, ended: Callable[[int, Observation], None]) -> Seal:
        """Start ``program``; when nothing of it is left, ``ended`` gets its wait status and what its network saw.

        ``recorder`` answers what it says from inside. GuardUnavailable if the level cannot be had.
        """
        address = f"codex-{os.urandom(16).hex()}"
        program.environment[ADDRESS] = address

        def attempt(level: levels.Level) -> Seal:
            return seal.start(program, level, address=address, handlers=self._before)

        if self.level is None:
            started, self.faults = levels.start_highest(self._required, attempt)
            self.level = started.level
        else:
            started = levels.start_again(self.level, attempt)
        _Attendance(self, started, recorder, ended)
        return started

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call ``handler`` whenever ``descriptor`` is readable."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def unwatch(self, descriptor: int) -> None:
        """No longer look at ``descriptor``."""
        del self._handlers[descriptor]
        self._poll.unregister(descriptor)

    def serve(self, main: Seal | None, is_done: Callable[[], bool]) -> None:
        """Serve all programs until ``is_done``; the signals that come are the program ``main``'s, if it is one."""
        self.watch(self._woken, lambda: self._pass_on(main))
        while not is_done():
            for descriptor, _ in self._poll.poll():
                handler = self._handlers.get(descriptor)  # an earlier one of this round may have closed it
                if handler is not None:
                    handler()
        self.unwatch(self._woken)

    def _pass_on(self, main: Seal | None) -> None:
        os.read(self._woken, 4096)
        received, self._received = self._received, []
        if main is not None:
            for number in received:
                main.signal(number)


class _Attendance:
    """What the keeper does for one program: it hears it out, and sees it to its end."""

    def __init__(
        self, keeper: Keeper, seal: Seal, recorder: Recorder, ended: Callable[[int, Observation], None]
    ) -> None:
        self._keeper, self._seal, self._recorder, self._ended = keeper, seal, recorder, ended
        self._connections: dict[int, _socket.socket] = {}
        keeper.watch(seal.pair.fileno(), self._follow)
        keeper.watch(seal.listener, self._accept)
        keeper.watch(seal.ended, self._finish)

    def _follow(self) -> None:
        """The init tells how the program fares; one in the keeper's own process group stops as if it were that."""
        words = (self._seal.read() or "").split()
        if words[:1] == ["stopped"] and not self._seal.own_group:
            _stop(int(words[1]))

    def _accept(self) -> None:
        descriptor = _accept(self._seal.listener)
        if descriptor is None:
            return
        connection = _socket.socket(fileno=descriptor)
        foreign = not self._seal.level.namespaces and _peer(connection) != os.geteuid()
        if foreign or len(self._connections) >= _MOST_CONNECTIONS:
            connection.close()  # without namespaces, other users have the name too
            return
        self._connections[descriptor] = connection
        self._keeper.watch(descriptor, lambda: self._hear(descriptor))

    def _hear(self, descriptor: int) -> None:
        """Answer one message of a connection, or close it at its end."""
        connection = self._connections[descriptor]
        try:
            message = connection.recv(LONGEST_MESSAGE, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionResetError:
            message = b""
        if not message:
            self._hang_up(descriptor)
            return
        answer = self._recorder.answer(message)
        if self._recorder.fault is not None:
            self._seal.signal(_signal.SIGKILL)  # what cannot be recorded does not go on
        try:
            connection.send(answer, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
        except OSError:
            self._hang_up(descriptor)

    def _hang_up(self, descriptor: int) -> None:
        self._keeper.unwatch(descriptor)
        self._connections.pop(descriptor).close()

    def _finish(self) -> None:
        """Nothing is left inside: hear what was still said, and tell how it ended."""
        while (descriptor := _accept(self._seal.listener)) is not None:
            self._connections[descriptor] = _socket.socket(fileno=descriptor)
            self._keeper.watch(descriptor, lambda: None)
        for descriptor in list(self._connections):
            while descriptor in self._connections and _is_readable(descriptor):
                self._hear(descriptor)
            if descriptor in self._connections:
                self._hang_up(descriptor)
        for descriptor in (self._seal.ended, self._seal.pair.fileno(), self._seal.listener):
            self._keeper.unwatch(descriptor)
        status = self._seal.reap()
        seen = observe(self._seal)
        self._seal.close()
        self._ended(status, seen)


def _accept(listener: int) -> int | None:
    """The descriptor of the next connection; None if there is none, or none can be had."""
    if not _is_readable(listener):
        return None
    sock = _socket.socket(fileno=os.dup(listener))
    try:
        return int(sock._accept()[0])  # type: ignore[attr-defined]  # accept() is of the socket module, not of this one
    except OSError:
        return None
    finally:
        sock.close()


def _stop(number: int) -> None:
    handler = _signal.signal(number, _signal.SIG_DFL) if number != _signal.SIGSTOP else None
    os.kill(os.getpid(), number)  # returns when this process is continued
    if handler is not None:
        _signal.signal(number, handler)


def _peer(connection: _socket.socket) -> int:
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], "little")


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
