"""The seal: a program started where it can reach no network, and everything that it leaves ended with it.

A chain of three forks. The first leaves the host's namespaces and ends. The second is the init of the new pid
namespace: it waits, and its end ends everything inside. The third gives up its rights and becomes the program. They
tell the keeper, which starts the chain and outlives it, how far they are over a pair of sockets.
"""

from __future__ import annotations

import _signal
import _socket
import errno
import os
import sys

from codex_core.offline import linux, mounts, namespaces, pinned, seccomp
from codex_core.offline.names import SERVER
from codex_core.offline.namespaces import OPENINGS, SealFault, attempt
from codex_core.offline.reaper import KEEPER_DIED, watch_over
from codex_core.offline.reporter import LEVEL

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from codex_core.offline.levels import Level
    from codex_core.offline.mounts import View
    from codex_core.offline.openings import Openings

_FACTS = ("snmp", "snmp6", "dev", "route", "ipv6_route")
"""What of /proc/net the keeper reads from outside for as long as it likes."""
_KEPT_OF_ROOT = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 14, 23)
"""capabilities(7) about files, ids, processes and memory: without them root has other users' files no more."""
_PATIENCE = 30.0
"""Seconds that a step of the chain may take before the seal counts as failed; on an idle machine all take ten ms."""
_MESSAGE = 4096


class Program:
    """What is started in a seal: ``call`` runs last in the chain, and what it returns is the exit status.

    ``output`` is the descriptor that stdout and stderr go to, with stdin empty; None leaves all three as they are.
    ``handed`` are the other descriptors that are inherited, under their own numbers. ``own_group`` puts it into a
    process group of its own; without, it stays in the keeper's, as if it had been started in its place. ``openings``
    is what it has of a broker.
    """

    __slots__ = ("call", "environment", "folder", "handed", "openings", "output", "own_group", "view")

    def __init__(
        self,
        call: Callable[[], int],
        *,
        folder: str,
        environment: Mapping[str, str],
        view: View,
        output: int | None = None,
        handed: Sequence[int] = (),
        own_group: bool = False,
        openings: Openings | None = None,
    ) -> None:
        self.call, self.folder, self.environment, self.view = call, folder, dict(environment), view
        self.output, self.handed, self.own_group, self.openings = output, tuple(handed), own_group, openings


class Seal:
    """A program in its seal, as the keeper has it.

    ``ended`` is a pidfd, readable when nothing is left inside. ``pair`` brings ``stopped N`` and ``ended STATUS``, and
    ``continued``, which only has to wake a keeper that is stopped itself. ``listener`` accepts connections from inside,
    ``questions`` has its look-ups of names, where there is a network of its own; ``facts`` are open files of the
    inside's /proc/net. ``opened`` are the listening sockets of the program's openings, in their order.
    """

    def __init__(
        self,
        level: Level,
        pid: int,
        pair: _socket.socket,
        listener: int,
        questions: int,
        facts: Mapping[str, int],
        opened: Sequence[int],
        *,
        own_group: bool,
    ) -> None:
        self.level, self.pid, self.pair, self.listener, self.own_group = level, pid, pair, listener, own_group
        self.questions = None if questions < 0 else _socket.socket(fileno=questions)
        self.facts, self.opened = dict(facts), list(opened)
        self.ended = os.pidfd_open(pid)
        self.status: int | None = None

    def signal(self, number: int) -> None:
        """Hand a signal on to the program, if it has not ended; SIGKILL ends all that is inside."""
        if self.ended < 0:
            return
        if number == _signal.SIGKILL and self.level.pids:
            _signal.pidfd_send_signal(self.ended, number)
        else:
            self._say(f"signal {number}")

    def give_terminal(self) -> None:
        """Let the program have the terminal again if it had it when it was stopped; the keeper has it now."""
        self._say("foreground")

    def read(self) -> str | None:
        """The next message of the chain, None if there is none."""
        try:
            words = self.pair.recv(_MESSAGE, _socket.MSG_DONTWAIT).decode().split()
        except (BlockingIOError, ConnectionResetError):
            return None
        if words[:1] == ["ended"]:
            self.status = int(words[1])
        return " ".join(words) or None

    def reap(self) -> int:
        """The status of the program, as waitpid(2) gives it; ``ended`` must be readable. Closes what it has open."""
        while self.read():
            continue
        os.waitpid(self.pid, 0)
        return int(_signal.SIGKILL) if self.status is None else self.status

    def close(self) -> None:
        """Let go of its descriptors."""
        self.pair.close()
        if self.questions is not None:
            self.questions.close()
        for descriptor in (self.ended, self.listener, *self.facts.values(), *self.opened):
            os.close(descriptor)
        self.ended = -1

    def _say(self, message: str) -> None:
        try:
            self.pair.send(message.encode())
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return  # it has ended meanwhile, or been stopped from inside


def start(
    program: Program,
    level: Level,
    *,
    address: str,
    handlers: Mapping[int, object] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> Seal:
    """Start ``program`` at ``level``; SealFault, with nothing left behind, if the kernel does not let it.

    ``address`` is the abstract name of the socket through which the inside reports; ``handlers`` are the signal
    handlers that the program begins with; ``meanwhile`` is called while the seal is being made, and before the program
    begins. The process must have one thread, and be a subreaper (prctl(2)).
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    keeper = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    first = os.fork()
    if first == 0:
        ours.close()
        in_child(lambda: _first(program, level, theirs, keeper, address, handlers or {}), theirs)
    theirs.close()
    ours.settimeout(_PATIENCE)
    return _follow(ours, level, first, meanwhile, own_group=program.own_group)


def execute(words: Sequence[str]) -> int:
    """Become the command ``words``, with the environment of this process; 126 or 127, as env(1), if that fails."""
    number = linux.execute(words)
    print(f"codex: cannot run {words[0]!r}: {os.strerror(number)}", file=sys.stderr, flush=True)
    return 127 if isinstance(OSError(number, ""), FileNotFoundError) else 126


def _follow(
    pair: _socket.socket, level: Level, first: int, meanwhile: Callable[[], object], *, own_group: bool
) -> Seal:
    """The keeper's part: answer each step of the chain until the program is about to begin."""
    pid, facts = first, dict[str, int]()
    listener, opened = -1, list[int]()
    try:
        while True:
            message, descriptors = _receive(pair)
            step, *rest = message.split() or ["fault", "start", "0"]
            if step == "map":
                with attempt("map"):
                    namespaces.map_every_id(first)
                pair.send(b"done")
            elif step == "made":
                listener, *others = descriptors
                facts, opened = dict(zip(_FACTS, others, strict=False)), others[len(_FACTS) :]
                meanwhile()
            elif step == "init":
                os.waitpid(first, 0)
                pid = int(rest[0])
                pair.send(b"reaped")
            elif step == "ready":
                pair.send(b"go")
            elif step == "confined":
                questions = opened.pop(0) if level.namespaces else -1
                return Seal(level, pid, pair, listener, questions, facts, opened, own_group=own_group)
            elif step == "fault":
                raise SealFault(rest[0], int(rest[1]))
            else:  # it was ended, or stopped, before it had begun
                raise SealFault("start", errno.EINTR)
    except BaseException as error:
        _give_up(pair, pid, [*facts.values(), *opened, listener] if facts else [])
        if isinstance(error, TimeoutError):
            raise SealFault("start", errno.ETIMEDOUT) from error
        raise


def _give_up(pair: _socket.socket, pid: int, descriptors: Sequence[int]) -> None:
    os.kill(pid, _signal.SIGKILL)
    os.waitpid(pid, 0)
    pair.close()
    for descriptor in descriptors:
        os.close(descriptor)


def in_child(body: Callable[[], int], pair: _socket.socket | None = None) -> None:
    """Run what a fork is for; it never returns into the code that forked it. A SealFault is told over ``pair``.

    What else it raises is shown as Python shows it, which imports what it needs for that: nothing from a file that a
    program may have written, since this process has pinned what it imports, or has become the program.
    """
    status = 70
    try:
        status = body()
    except SealFault as fault:
        assert pair is not None  # only the links of the chain make a seal
        pair.send(f"fault {fault.step} {fault.errno}".encode())
    except BaseException as error:  # noqa: BLE001 - nothing may go on in the keeper's code
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            os._exit(status)


def _first(
    program: Program, level: Level, pair: _socket.socket, keeper: int, address: str, handlers: Mapping[int, object]
) -> int:
    """Leave the host's namespaces, show the keeper in, and fork the init."""
    pinned.forbid()  # the program may write to the files, and make the init fail, which then shows how
    _die_with(keeper)
    if level.namespaces:
        sockets = mounts.host_sockets()
        home = program.environment.get("HOME", "")
        namespaces.enter(pids=level.pids, map_ids=(lambda: _ask(pair, b"map")) if os.geteuid() == 0 else None)
        _show_in(pair, address, _open_names(), *(_open(program.openings) if program.openings else ()))
        names = program.openings.names if program.openings else {}
        mounts.rearrange(program.view, sockets, home=home, names=names)
    else:
        _show_in(pair, address)
    pid = os.fork()
    if pid == 0:
        in_child(lambda: _second(program, level, pair, handlers), pair)
    pair.send(f"init {pid}".encode())
    return 0


def _second(program: Program, level: Level, pair: _socket.socket, handlers: Mapping[int, object]) -> int:
    """Be the init: its end ends everything inside, and the keeper's end ends it."""
    try:
        if level.pids:
            mounts.mount_proc()
        if level.namespaces:
            mounts.protect_proc()
        code = _filter(level)
    finally:
        _expect(pair, b"reaped")  # until then the parent whose death would be noticed is the first link
    linux.prctl(linux.PR_SET_PDEATHSIG, _signal.SIGKILL if level.pids else KEEPER_DIED)
    if not level.pids:
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    _ask(pair, b"ready")
    blocked = _signal.valid_signals() - {_signal.SIGCHLD, KEEPER_DIED}
    signals = _signal.pthread_sigmask(_signal.SIG_BLOCK, blocked)
    pid = os.fork()
    if pid == 0:
        in_child(lambda: _third(program, level, code, pair, handlers, signals), pair)
    for number in _signal.sigpending() & blocked:  # it may have come before the fork; the program blocks it still
        _signal.sigtimedwait([number], 0)
        os.kill(pid, number)
    return watch_over(pid, pair, handlers, alone=level.pids, group=program.own_group)


def _filter(level: Level) -> bytes | None:
    if level.families is None:
        return None
    with attempt("seccomp"):
        return seccomp.program(os.uname().machine, families=level.families, tracing=level.namespaces)


def _third(
    program: Program,
    level: Level,
    code: bytes | None,
    pair: _socket.socket,
    handlers: Mapping[int, object],
    signals: set[int],
) -> int:
    """Become the program: with its descriptors, its rights and its environment, and nothing else."""
    if program.own_group:
        os.setpgid(0, 0)
    if program.output is not None:
        empty = os.open(os.devnull, os.O_RDONLY)
        for number, source in ((0, empty), (1, program.output), (2, program.output)):
            os.dup2(source, number)
    with attempt("folder"):
        os.chdir(program.folder)
    _restore_signals(handlers)
    with attempt("rights"):
        if not level.pids:
            linux.prctl(linux.PR_SET_PDEATHSIG, _signal.SIGKILL)
        if code is not None:
            linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
            linux.scope_signals()
            linux.keep_capabilities(_KEPT_OF_ROOT if os.geteuid() == 0 else ())
    if code is not None:
        with attempt("seccomp"):
            seccomp.install(code)
    os.environ.clear()
    os.environ.update({**program.environment, LEVEL: level.name})
    if level.namespaces and program.view.temporary is not None and os.path.isdir(mounts.TEMPORARY):
        os.environ["TMPDIR"] = mounts.TEMPORARY
    if level.namespaces and program.openings is not None:
        os.environ.update(program.openings.environment)
    pair.send(b"confined")
    linux.close_all_but((0, 1, 2, *program.handed))
    _signal.pthread_sigmask(_signal.SIG_SETMASK, signals)
    pinned.unpin()
    return program.call()


def _show_in(pair: _socket.socket, address: str, *opened: _socket.socket) -> None:
    """Hand the keeper what lets it see and hear the inside: sockets and open files keep their network namespace."""
    with attempt("keeper"):
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        listener.bind(f"\0{address}")
        listener.listen(64)
        facts = [_open_fact(name) for name in _FACTS]
        _send(pair, b"made", [listener.fileno(), *facts, *(sock.fileno() for sock in opened)])
        for sock in (listener, *opened):
            sock.close()
        for descriptor in facts:
            os.close(descriptor)


def _open_names() -> _socket.socket:
    """Where names are looked up in this network namespace."""
    with attempt("names"):
        namespaces.add_address(SERVER[0])  # with 127.0.0.1 alone, glibc's getaddrinfo(3) may not even ask
        sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
        sock.bind(SERVER)
    return sock


def _open(openings: Openings) -> list[_socket.socket]:
    """The listening sockets of ``openings``, in this network namespace."""
    opened = []
    with attempt(OPENINGS):
        for one in openings.addresses:
            namespaces.add_address(one)
        for host, port in openings.listeners:
            sock = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
            sock.bind((host, port))
            sock.listen(512)
            opened.append(sock)
    return opened


def _open_fact(name: str) -> int:
    try:
        return os.open(f"/proc/net/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # a kernel without IPv6
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _die_with(parent: int) -> None:
    linux.prctl(linux.PR_SET_PDEATHSIG, _signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + _signal.SIGKILL)


def _restore_signals(handlers: Mapping[int, object]) -> None:
    """Signals as a program finds them that was not started by Python: ignored, or with what they do by themselves."""
    _signal.set_wakeup_fd(-1)
    own: dict[int, object] = {_signal.SIGPIPE: _signal.SIG_DFL, _signal.SIGXFSZ: _signal.SIG_DFL}
    own[_signal.SIGINT] = _signal.getsignal(_signal.SIGINT)  # Python's own handler, or it was ignored
    for number, handler in {**own, **handlers}.items():
        _signal.signal(number, _signal.SIG_IGN if handler is _signal.SIG_IGN else _signal.SIG_DFL)


def _ask(pair: _socket.socket, question: bytes) -> None:
    pair.send(question)
    _expect(pair)


def _expect(pair: _socket.socket, answer: bytes | None = None) -> None:
    """Wait for the keeper; without it there is nothing to go on for."""
    got = pair.recv(_MESSAGE)
    if not got or (answer is not None and got != answer):
        os._exit(70)


def _send(pair: _socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    data = b"".join(number.to_bytes(4, sys.byteorder) for number in descriptors)
    pair.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, data)])


def _receive(pair: _socket.socket) -> tuple[str, list[int]]:
    message, ancillary, *_ = pair.recvmsg(_MESSAGE, _socket.CMSG_SPACE(4 * 253), _socket.MSG_CMSG_CLOEXEC)
    data = b"".join(found for _, kind, found in ancillary if kind == _socket.SCM_RIGHTS)
    return message.decode(), [int.from_bytes(data[at : at + 4], sys.byteorder) for at in range(0, len(data), 4)]
