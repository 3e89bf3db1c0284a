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
from codex_core.offline.job import is_foreground, is_readable, stop_until_heard
from codex_core.offline.names import LONGEST_QUESTION
from codex_core.offline.reporter import ADDRESS, LONGEST_MESSAGE

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from codex_core.offline.attestation import Observation
    from codex_core.offline.doors import Door
    from codex_core.offline.levels import Fault
    from codex_core.offline.openings import Openings
    from codex_core.offline.recorder import Recorder
    from codex_core.offline.seal import Program, Seal
    from codex_core.policy import Policy

FORWARDED = tuple(
    sorted(
        _signal.valid_signals()
        - {_signal.SIGKILL, _signal.SIGSTOP, _signal.SIGCHLD, _signal.SIGPIPE}
        - {_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGTRAP, _signal.SIGSYS}
        - {_signal.SIGABRT, _signal.SIGXFSZ}
    )
)
"""The signals that the program gets in the keeper's place: all but those that tell the keeper of itself."""


_MOST_CONNECTIONS = 128
"""From inside one seal at a time; who wants more is hung up on, so that the keeper has descriptors for its work."""


class Keeper:
    """Starts programs in seals and serves them until they end.

    ``required`` is the lowest level that will do. The level of the first program is that of all later ones.
    ``meanwhile`` is called whenever a seal is being made, before its program begins.
    """

    def __init__(self, *, required: str = levels.DEFAULT, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.level: levels.Level | None = None
        self.faults: list[Fault] = []
        self.pins: dict[str, list[str]] = {}
        """Each name that a broker has looked up, with its addresses, which hold for the whole run."""
        self._required, self._meanwhile = required, meanwhile
        self._handlers: dict[int, Callable[[], object]] = {}
        self._poll = select.poll()
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before: dict[int, object] = {}
        if _signal.getsignal(_signal.SIGCHLD) is _signal.SIG_IGN:  # then the kernel would reap the seals
            self._before[_signal.SIGCHLD] = _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        self._wakeup_before = _signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)

    def take_signals(self) -> None:
        """From now on, note the signals that are meant for the program; one that is ignored stays ignored."""
        for number in FORWARDED:
            if _signal.getsignal(number) is not _signal.SIG_IGN:
                self._before[number] = _signal.signal(number, lambda *_: None)

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
            return seal.start(program, level, address=address, handlers=self._before, meanwhile=self._meanwhile)

        if self.level is None:
            started, self.faults = levels.start_highest(self._required, attempt)
            self.level = started.level
        else:
            started = levels.start_again(self.level, attempt)
        _Attendance(self, started, recorder, program.openings, ended)
        return started

    def watch(self, descriptor: int, handler: Callable[[], object]) -> None:
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
        try:
            received = os.read(self._woken, 4096)  # each byte is a signal (signal.set_wakeup_fd)
        except BlockingIOError:
            return  # they were passed on before this stopped
        if main is not None:
            for number in received:
                main.signal(number)

    def stop(self, number: int, main: Seal) -> None:
        """Stop as the program ``main`` did, by the signal ``number``, until somebody continues this process or it.

        What this process has got itself is handed on before: afterwards it would seem to have come just then.
        """
        self._pass_on(main)
        if stop_until_heard(number, main.pair.fileno()):
            if is_foreground():
                main.give_terminal()
            main.signal(_signal.SIGCONT)


class _Attendance:
    """What the keeper does for one program: it hears it out, sees it to its end, and has a broker for its openings."""

    def __init__(
        self,
        keeper: Keeper,
        seal: Seal,
        recorder: Recorder,
        openings: Openings | None,
        ended: Callable[[int, Observation], None],
    ) -> None:
        self._keeper, self._seal, self._recorder, self._ended = keeper, seal, recorder, ended
        self._openings = openings
        self._broker: _BrokerProcess | None = None
        self._ending: tuple[int, Observation] | None = None
        self._connections: dict[int, _socket.socket] = {}
        keeper.watch(seal.pair.fileno(), self._follow)
        keeper.watch(seal.listener, self._accept)
        keeper.watch(seal.ended, self._finish)
        if seal.questions is not None:
            keeper.watch(seal.questions.fileno(), self._hear_question)
        for descriptor in seal.opened:
            keeper.watch(descriptor, self._start_broker)

    def _follow(self) -> None:
        """The init tells how the program fares; one in the keeper's own process group stops as if it were that."""
        words = (self._seal.read() or "").split()
        if words[:1] == ["stopped"] and not self._seal.own_group:
            self._keeper.stop(int(words[1]), self._seal)

    def _accept(self) -> bool:
        """Take the next connection, if there is one and it is the program's; hang up on what is too many."""
        descriptor = _accept(self._seal.listener)
        if descriptor is None:
            return False
        connection = _socket.socket(fileno=descriptor)
        foreign = not self._seal.level.namespaces and _peer(connection) != os.geteuid()
        if foreign or len(self._connections) >= _MOST_CONNECTIONS:
            connection.close()  # without namespaces, other users have the name too
            return True
        self._connections[descriptor] = connection
        self._keeper.watch(descriptor, lambda: self._hear(descriptor))
        return True

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

    def _hear_question(self) -> None:
        """Answer one look-up of a name."""
        assert self._seal.questions is not None  # it is what was heard
        try:
            question, sender = self._seal.questions.recvfrom(LONGEST_QUESTION, _socket.MSG_DONTWAIT)
        except OSError:
            return
        answer = self._recorder.answer_question(question)
        if answer is not None:
            try:
                self._seal.questions.sendto(answer, _socket.MSG_DONTWAIT, sender)
            except OSError:
                return  # who asked has gone

    def _hang_up(self, descriptor: int) -> None:
        self._keeper.unwatch(descriptor)
        self._connections.pop(descriptor).close()

    def _finish(self) -> None:
        """Nothing is left inside: hear what was still said, and tell how it ended."""
        for _ in range(_MOST_CONNECTIONS):
            if not self._accept():
                break
        for descriptor in list(self._connections):
            while descriptor in self._connections and is_readable(descriptor):
                self._hear(descriptor)
            if descriptor in self._connections:
                self._hang_up(descriptor)
        if self._seal.questions is not None:
            while is_readable(self._seal.questions.fileno()):
                self._hear_question()
            self._keeper.unwatch(self._seal.questions.fileno())
        for descriptor in (self._seal.ended, self._seal.pair.fileno(), self._seal.listener, *self._seal.opened):
            self._keeper.unwatch(descriptor)
        self._ending = self._seal.reap(), observe(self._seal)
        self._seal.close()
        if self._broker is None:
            self._conclude()
        else:
            self._broker.tell_over()  # it has counts to report

    def _conclude(self) -> None:
        assert self._ending is not None  # the program has ended
        self._recorder.conclude(self._ending[1].attempts, self._ending[1].unanswered)
        self._ended(*self._ending)

    def _start_broker(self) -> None:
        """A program knocks for the first time. From now on the listeners are the broker's: with it, they are gone."""
        assert self._openings is not None  # they are what was knocked at
        listeners = dict(zip(self._seal.opened, self._openings.doors, strict=True))
        try:
            self._broker = _BrokerProcess(listeners, self._recorder, self._openings.actor)
        except OSError:  # there is no room for another process
            self._recorder.lose_broker()
        for descriptor in listeners:
            self._keeper.unwatch(descriptor)
            os.close(descriptor)
        self._seal.opened.clear()
        if self._broker is None:
            return
        self._keeper.watch(self._broker.pair.fileno(), self._hear_broker)

    def _hear_broker(self) -> None:
        assert self._broker is not None  # it is what was heard
        message = self._broker.read()
        if message is None:
            return
        if message:
            answer = self._recorder.answer_broker(message, self._keeper.pins)
            if answer is not None:
                self._broker.answer(answer)
            if self._recorder.fault is not None and self._ending is None:
                self._seal.signal(_signal.SIGKILL)
            return
        self._keeper.unwatch(self._broker.pair.fileno())
        self._broker.close()
        self._broker = None
        if self._ending is None:
            self._recorder.lose_broker()
        else:
            self._conclude()


class _BrokerProcess:
    """The process of a broker; ``pair`` brings what it says, and then its end."""

    def __init__(self, listeners: Mapping[int, Door | None], recorder: Recorder, actor: str) -> None:
        policy = recorder.policy()
        self.pair, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        over, self._over = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        try:
            self._pid = os.fork()
        except OSError:
            for descriptor in (over, self._over):
                os.close(descriptor)
            self.pair.close()
            theirs.close()
            raise
        if self._pid == 0:
            seal.in_child(lambda: _serve_out(listeners, policy, recorder.stage, actor, theirs, over, parent))
        theirs.close()
        os.close(over)

    def read(self) -> bytes | None:
        """Its next message, empty if it has ended, None if there is none yet."""
        try:
            return self.pair.recv(LONGEST_MESSAGE, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            return b""

    def answer(self, message: bytes) -> None:
        """Answer what it has said; it waits for that."""
        try:
            self.pair.send(message, _socket.MSG_NOSIGNAL)
        except OSError:
            return  # it has ended meanwhile, and that is heard next

    def tell_over(self) -> None:
        """Let it end, since the program has."""
        if self._over >= 0:
            os.close(self._over)
            self._over = -1

    def close(self) -> None:
        """It has ended: let go of it."""
        self.tell_over()
        self.pair.close()
        os.waitpid(self._pid, 0)


def _serve_out(
    listeners: Mapping[int, Door | None],
    policy: Policy,
    stage: str,
    actor: str,
    pair: _socket.socket,
    over: int,
    parent: int,
) -> int:
    import socket

    from codex_core.offline import broker

    line = socket.socket(fileno=pair.detach())
    broker.run(listeners, policy, stage=stage, actor=actor, pair=line, over=over, parent=parent)
    return 0


def _accept(listener: int) -> int | None:
    """The descriptor of the next connection; None if there is none, or none can be had."""
    if not is_readable(listener):
        return None
    try:
        sock = _socket.socket(fileno=os.dup(listener))
    except OSError:
        return None
    try:
        return int(sock._accept()[0])  # type: ignore[attr-defined]  # accept() is of the socket module, not of this one
    except OSError:
        return None
    finally:
        sock.close()


def _peer(connection: _socket.socket) -> int:
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    return int.from_bytes(credentials[4:8], "little")
