"""What the keeper promises: every program ends as it should, what it says is recorded, and nothing of it is left."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from codex_core.errors import GuardUnavailable, LedgerUnavailable, UsageError
from codex_core.offline import levels, linux, mounts, seal
from codex_core.offline.attestation import Observation
from codex_core.offline.keeper import Keeper
from codex_core.offline.levels import Level
from codex_core.offline.mounts import View
from codex_core.offline.probe import probe
from codex_core.offline.reaper import watch_over
from codex_core.offline.recorder import Recorder, to_ledger
from codex_core.offline.reporter import Reporter
from codex_core.offline.seal import Program
from codex_core.policy import Decision, Layer, Policy, Request, Rule, decide

POLICY = Policy((Layer("here", allow=(Rule("a", "https://a.example:443/**", ("read",)),)),))
REFUSAL = Decision("refuse", None, "no rule allows it", "a rule", "https://b.example:443/", "read", "s", POLICY.digest)
LEVELS = [levels.KERNEL, levels.KERNEL_SHARED_PIDS, levels.NOSOCKET, levels.PYTHON]
every_level = pytest.mark.parametrize("level", LEVELS, ids=["kernel", "kernel-shared-pids", "nosocket", "python"])


@contextmanager
def keeping(level: Level | None = None) -> Iterator[Keeper]:
    keeper = Keeper(required="python")
    keeper.level = level
    try:
        yield keeper
    finally:
        keeper.close()


def quiet() -> Recorder:
    """A recorder that keeps nothing."""
    return Recorder("s", lambda: POLICY, lambda kind, body: None)


def run(
    keeper: Keeper, call: Callable[[], int], *, recorder: Recorder | None = None, view: View | None = None
) -> tuple[int, Observation]:
    """The exit code of ``call`` in a seal, and what was seen of it."""
    endings: list[tuple[int, Observation]] = []
    program = Program(call, folder="/", environment=os.environ, view=view or View(), own_group=True)
    keeper.start(program, recorder or quiet(), lambda *end: endings.append(end))
    keeper.serve(None, lambda: bool(endings))
    ((status, seen),) = endings
    return os.waitstatus_to_exitcode(status), seen


def heard(keeper: Keeper, body: Callable[[], object], *, view: View | None = None) -> object:
    """What ``body`` returns in a seal, which hands it out through a file."""
    with open(os.memfd_create("said"), "rb+") as file:

        def call() -> int:
            os.pwrite(file.fileno(), json.dumps(body()).encode(), 0)
            return 0

        endings: list[int] = []
        program = Program(
            call, folder="/", environment=os.environ, view=view or View(), own_group=True, handed=(file.fileno(),)
        )
        keeper.start(program, quiet(), lambda status, _: endings.append(status))
        keeper.serve(None, lambda: bool(endings))
        assert endings == [0]
        return json.loads(file.read())


@every_level
def test_300_starts_in_a_row_end_as_they_should_and_leave_no_process_and_no_descriptor(level: Level) -> None:
    with keeping(level) as keeper:
        run(keeper, lambda: 0)
        before = sorted(Path("/proc/self/fd").iterdir())
        for number in range(300):
            assert run(keeper, lambda: number % 7)[0] == number % 7  # noqa: B023 - it has run when the loop goes on
        assert sorted(Path("/proc/self/fd").iterdir()) == before
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


@every_level
def test_a_program_that_leaves_the_session_is_ended_with_what_started_it(level: Level) -> None:
    read, write = os.pipe2(os.O_CLOEXEC)

    def leave() -> int:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.pause()
            os._exit(0)
        return 3

    with keeping(level) as keeper:
        endings: list[int] = []
        program = Program(leave, folder="/", environment=os.environ, view=View(), own_group=True, handed=(write,))
        keeper.start(program, quiet(), lambda status, _: endings.append(status))
        os.close(write)
        keeper.serve(None, lambda: bool(endings))
    assert os.waitstatus_to_exitcode(endings[0]) == 3
    assert os.read(read, 1) == b""  # nobody holds the other end any more
    os.close(read)


@every_level
def test_a_killed_program_is_told_as_killed(level: Level) -> None:
    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    with keeping(level) as keeper:
        assert run(keeper, die)[0] == -signal.SIGKILL


@every_level
def test_what_is_reported_from_inside_is_recorded_in_its_order(level: Level) -> None:
    def report() -> int:
        reporter = Reporter(os.environ["CODEX_KEEPER"])
        assert reporter.policy() == ("s", POLICY)
        reporter.record(REFUSAL)
        if (child := os.fork()) == 0:
            reporter.record(REFUSAL)  # over a connection of its own
            os._exit(0)
        os.waitpid(child, 0)
        return 0

    told: list[tuple[str, Mapping[str, object]]] = []
    recorder = Recorder("s", lambda: POLICY, lambda kind, body: told.append((kind, body)))
    with keeping(level) as keeper:
        assert run(keeper, report, recorder=recorder)[0] == 0
    assert told == [("decision", {**REFUSAL.to_json(), "reported": True})] * 2
    assert (recorder.refused, recorder.last_refusal, list(recorder.decisions)) == (2, REFUSAL, [REFUSAL])


def test_a_message_that_is_none_is_answered_and_changes_nothing() -> None:
    recorder = Recorder("s", lambda: POLICY, print)
    odd = [{**REFUSAL.to_json(), **change} for change in ({"reason": 3}, {"url": {"a": 1}}, {"verdict": "perhaps"})]
    decisions = [json.dumps({"decision": one}).encode() for one in odd]
    for message in (b"", b"\xff", b"[]", b"{}", b'{"decision": {}}', b'{"decision": 7}', b"[" * 60000, *decisions):
        assert json.loads(recorder.answer(message))["error"]["code"] == "usage.invalid"
    assert (recorder.refused, recorder.fault) == (0, None)


def test_a_decision_that_is_made_again_and_again_is_counted_from_the_eleventh_time() -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    recorder = Recorder("s", lambda: POLICY, lambda kind, body: told.append((kind, body)))
    for _ in range(25):
        recorder.answer(json.dumps({"decision": REFUSAL.to_json()}).encode())
    recorder.conclude()
    assert [kind for kind, _ in told] == ["decision"] * 10 + ["repeated"]
    assert told[-1][1] == {**REFUSAL.to_json(), "times": 15, "reported": True}
    assert recorder.refused == 25


def test_further_different_decisions_are_counted_together() -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    recorder = Recorder("s", lambda: POLICY, lambda kind, body: told.append((kind, body)))
    for number in range(5000):
        claim = {**REFUSAL.to_json(), "url": f"https://b.example:443/{number}"}
        assert json.loads(recorder.answer(json.dumps({"decision": claim}).encode())) == {"recorded": True}
    recorder.conclude()
    assert [kind for kind, _ in told] == ["decision"] * 4096 + ["more"]
    assert told[-1][1] == {"stage": "s", "times": 904, "reported": True}
    assert (recorder.refused, len(recorder.decisions)) == (5000, 4096)


@pytest.mark.parametrize("times", [0, -1, 10**9, True, "2", 1.5])
def test_a_decision_is_made_a_number_of_times(times: object) -> None:
    recorder = quiet()
    answer = json.loads(recorder.answer(json.dumps({"decision": REFUSAL.to_json(), "times": times}).encode()))
    assert answer["error"]["code"] == "usage.invalid"
    assert recorder.refused == 0


@every_level
def test_a_program_that_wants_too_many_connections_is_hung_up_on_and_heard_again(level: Level) -> None:
    def crowd() -> int:
        address = f"\0{os.environ['CODEX_KEEPER']}"
        held = []
        for _ in range(300):
            held.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            held[-1].connect(address)
        assert held[299].recv(1) == b""
        for sock in held:
            sock.close()
        for _ in range(100):  # until the keeper has seen that they are closed
            with suppress(LedgerUnavailable):
                Reporter(os.environ["CODEX_KEEPER"]).record(REFUSAL)
                return 0
            time.sleep(0.05)
        return 1

    recorder = quiet()
    with keeping(level) as keeper:
        assert run(keeper, crowd, recorder=recorder)[0] == 0
    assert recorder.refused == 1


@every_level
def test_a_program_whose_reports_cannot_be_recorded_is_ended(level: Level) -> None:
    def fail(kind: str, body: Mapping[str, object]) -> None:
        raise LedgerUnavailable("the disk is full", hint="make room")

    def report() -> int:
        with pytest.raises(LedgerUnavailable, match="the disk is full"):
            Reporter(os.environ["CODEX_KEEPER"]).record(REFUSAL)
        signal.pause()
        return 0

    recorder = Recorder("s", lambda: POLICY, fail)
    with keeping(level) as keeper:
        assert run(keeper, report, recorder=recorder)[0] == -signal.SIGKILL
    assert recorder.fault is not None


def test_a_network_of_its_own_has_loopback_and_nothing_else() -> None:
    def use_loopback() -> int:
        with socket.create_server(("127.0.0.1", 80)) as server, socket.create_connection(server.getsockname()):
            return 0

    with keeping(levels.KERNEL) as keeper:
        code, seen = run(keeper, use_loopback)
    assert (code, seen.interfaces, seen.routes, seen.attempts) == (0, ("lo",), (), 0)


def test_each_packet_without_a_route_is_counted() -> None:
    def try_ways_out() -> int:
        for family, address in ((socket.AF_INET, "198.51.100.7"), (socket.AF_INET6, "2001:db8::7")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(family, kind) as sock:
                    assert sock.connect_ex((address, 443)) == errno.ENETUNREACH
        return 0

    with keeping(levels.KERNEL) as keeper:
        code, seen = run(keeper, try_ways_out)
    assert (code, seen.attempts) == (0, 4)


def test_what_is_read_only_stays_so_but_for_what_is_writable(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)

    def write() -> list[str]:
        told = []
        for path in ("x", "a/x", "a/b/x", "a/b/c/x"):
            try:
                (tmp_path / path).touch()
                told.append("written")
            except OSError as error:
                told.append(errno.errorcode[error.errno or 0])
        return told

    view = View(kept=(str(tmp_path),), read_only=(str(tmp_path / "a"), "/nowhere"), writable=(str(tmp_path / "a/b"),))
    with keeping(levels.KERNEL) as keeper:
        assert heard(keeper, write, view=view) == ["written", "EROFS", "written", "written"]


def test_the_own_name_is_known_and_no_other_is_looked_up_anywhere() -> None:
    def look_up() -> list[object]:
        found: list[object] = []
        for name in ("localhost", os.uname().nodename, "models.example"):
            try:
                found.append(sorted({str(info[4][0]) for info in socket.getaddrinfo(name, 80)}))
            except socket.gaierror as error:
                found.append(error.errno)
        return found

    with keeping(levels.KERNEL) as keeper:
        assert heard(keeper, look_up) == [["127.0.0.1", "::1"], ["127.0.0.1"], socket.EAI_NONAME]


def test_files_of_other_users_keep_their_owners_for_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has files of other users")
    theirs = tmp_path / "theirs"
    theirs.write_text("secret")
    os.chown(theirs, 1234, 5678)
    theirs.chmod(0o600)

    def use() -> list[object]:
        found = theirs.stat()
        os.chown(theirs, 4321, 5678)
        return [found.st_uid, found.st_gid, theirs.read_text()]

    with keeping(levels.KERNEL) as keeper:
        assert heard(keeper, use, view=View(kept=(str(tmp_path),))) == [1234, 5678, "secret"]
    assert theirs.stat().st_uid == 4321


def test_queues_and_shared_memory_of_the_host_are_not_there() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    key = 0x0C0DE000 | os.getpid() & 0xFFF
    queue, memory = libc.msgget(key, 0o1666), libc.shmget(key, 4096, 0o1666)  # IPC_CREAT
    try:
        assert min(queue, memory) >= 0
        with keeping(levels.KERNEL) as keeper:
            found = heard(keeper, lambda: [libc.msgget(key, 0), libc.shmget(key, 0, 0)])
    finally:
        libc.msgctl(queue, 0, None)  # IPC_RMID
        libc.shmctl(memory, 0, None)
    assert found == [-1, -1]


@every_level
def test_nothing_is_imported_on_the_way_to_the_program(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program could write to the files, and have what waits for it fail, whose last words import."""
    read, write = os.pipe()

    def try_it(*words: Any, **more: Any) -> int:
        try:
            import wave  # noqa: F401
        except ModuleNotFoundError:
            os.write(write, b"none")
        return watch_over(*words, **more)

    monkeypatch.delitem(sys.modules, "wave", raising=False)
    monkeypatch.setattr(seal, "watch_over", try_it)
    with keeping(level) as keeper:
        run(keeper, lambda: 0)
    assert os.read(read, 100) == b"none"
    os.close(read)
    os.close(write)
    monkeypatch.undo()
    with keeping(level) as keeper:
        assert run(keeper, lambda: int(import_module("wave").__name__ != "wave"))[0] == 0


def test_the_limits_of_another_process_are_out_of_reach() -> None:
    def ask() -> object:
        found = []
        for pid in (1, os.getpid()):
            try:
                found.append(resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] > 0)
            except PermissionError:
                found.append(False)
        return [*found, resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0]

    for level in (levels.KERNEL, levels.NOSOCKET):
        with keeping(level) as keeper:
            assert heard(keeper, ask) == [False, False, True]


def test_a_small_dev_and_a_sys_that_nobody_writes_to() -> None:
    def look() -> object:
        below = ["/sys", *filter(os.path.isdir, ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"])]
        read_only = all(os.statvfs(path).f_flag & os.ST_RDONLY for path in below)
        shown = [
            sorted(path.name for path in Path(folder).iterdir()) for folder in ("/dev", "/sys/class/net", below[-1])
        ]
        return [read_only, *shown]

    with keeping(levels.KERNEL) as keeper:
        read_only, devices, interfaces, groups = cast(
            "tuple[bool, list[str], list[str], list[str]]", heard(keeper, look)
        )
    assert read_only
    assert interfaces == ["lo"]
    assert groups
    assert {"null", "zero", "urandom", "tty", "fd", "stdout"} <= set(devices)
    assert not {"mem", "kmsg", "fuse", "kvm", "loop0", "sda", "vda", "net"} & set(devices)


@pytest.mark.parametrize("name", ["url", "reason", "remedy", "stage"])
@pytest.mark.parametrize("text", ["\udc80", "a\x1b[2J", "a\rb"])
def test_a_claim_that_no_ledger_or_terminal_can_hold_is_none(name: str, text: str) -> None:
    recorder = quiet()
    claim = {**REFUSAL.to_json(), name: text}
    answer = json.loads(recorder.answer(json.dumps({"decision": claim, "times": 5}).encode()))
    assert answer["error"]["code"] == "usage.invalid"
    recorder.conclude()
    assert (recorder.refused, recorder.decisions) == (0, {})


def test_a_claim_gives_no_rule_of_its_own_as_ours() -> None:
    recorder = quiet()
    wide = '[[policy.allow]]\nid = "all"\nurl = "https://*.example:443/**"\nverbs = ["connect"]'
    recorder.answer(json.dumps({"decision": {**REFUSAL.to_json(), "remedy": wide}}).encode())
    assert recorder.last_refusal is not None
    assert recorder.last_refusal.remedy is None


def test_claims_leave_room_for_what_the_broker_says() -> None:
    told: list[tuple[str, Mapping[str, object]]] = []
    recorder = Recorder("s", lambda: POLICY, lambda kind, body: told.append((kind, body)))
    granted = decide(POLICY, Request("read", "https://a.example:443/x", "s"), now=datetime(2026, 1, 1, tzinfo=UTC))
    for number in range(4200):
        claim = {**granted.to_json(), "url": f"https://a.example:443/{number}"}
        recorder.answer(json.dumps({"decision": claim}).encode())
    for message in ({"granted": granted.to_json()}, {"refused": REFUSAL.to_json()}):
        assert recorder.answer_broker(json.dumps(message).encode(), {}) == b"true"
    assert [body.get("reported") for kind, body in told[-2:]] == [None, None]
    assert granted in recorder.decisions


def test_claims_of_any_length_take_only_so_much_room() -> None:
    told: list[Mapping[str, object]] = []
    recorder = Recorder("s", lambda: POLICY, lambda kind, body: told.append(body))
    for number in range(300):
        claim = {**REFUSAL.to_json(), "url": f"https://b.example:443/{number}{'a' * 60_000}"}
        recorder.answer(json.dumps({"decision": claim}).encode())
    assert sum(len(str(body)) for body in told) < 2**24
    assert recorder.refused == 300


def test_what_the_policy_alone_does_not_say_is_no_decision_of_the_stage() -> None:
    recorder = quiet()
    for lasting in (False, True):
        message = {"refused": REFUSAL.to_json(), "lasting": lasting}
        assert recorder.answer_broker(json.dumps(message).encode(), {}) == b"true"
        assert (REFUSAL in recorder.decisions) is lasting
    assert recorder.refused == 2


def test_a_refusal_is_on_the_disk_before_the_program_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    monkeypatch.delenv("CODEX_KEEPER", raising=False)
    (tmp_path / "ledger").touch()
    append = to_ledger(str(tmp_path / "ledger"))
    append("decision", {"verdict": "allow"})
    assert synced == []
    append("decision", {"verdict": "refuse"})
    assert len(synced) == 1


def test_a_message_of_the_broker_that_was_cut_is_not_recorded() -> None:
    assert quiet().answer_broker(b'{"granted": {"verdict"', {}) == b"false"


@pytest.mark.parametrize(("found", "isolated"), [(["lo"], True), (["lo", "sit0"], True), (["lo", "wlan0"], False)])
def test_an_interface_that_is_down_is_a_network_too(
    found: list[str], isolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(levels, "_interfaces", lambda: found)
    monkeypatch.setattr(levels, "_is_up", lambda name: name == "lo")
    monkeypatch.setattr(levels, "_routes", list)
    assert levels.is_isolated() is isolated


def test_a_socket_whose_name_holds_a_newline_is_seen(tmp_path: Path) -> None:
    paths = [f"{tmp_path}/a\nb", f"{tmp_path}/c\rd", f"{tmp_path}/e f"]
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(path)
        assert set(paths) <= set(mounts.host_sockets())


def test_what_is_writable_is_no_link_to_what_is_not(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "runs").mkdir(parents=True)
    (state / "runs/stage").symlink_to("..")
    view = View(read_only=[str(state)], writable=[str(state / "runs/stage")])
    with keeping(levels.KERNEL) as keeper, pytest.raises(GuardUnavailable, match="read-only: ELOOP"):
        run(keeper, lambda: 0, view=view)


def test_the_ledger_is_written_to_while_it_is_the_one_that_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.touch()
    append = to_ledger(str(path), known=path.stat())
    append("note", {})
    path.rename(tmp_path / "old")
    path.touch()
    with pytest.raises(LedgerUnavailable, match="was replaced while this ran"):
        append("note", {})
    assert path.read_bytes() == b""


@every_level
def test_a_signal_that_comes_after_the_end_goes_nowhere(level: Level) -> None:
    endings: list[int] = []
    program = Program(lambda: 0, folder="/", environment=os.environ, view=View(), own_group=True)
    with keeping(level) as keeper:
        seal = keeper.start(program, quiet(), lambda status, _: endings.append(status))
        keeper.serve(None, lambda: bool(endings))
        seal.signal(signal.SIGTERM)
        seal.signal(signal.SIGKILL)
    assert endings == [0]


def test_the_program_has_no_right_that_would_undo_its_seal() -> None:
    def rights() -> dict[str, str]:
        with open("/proc/self/status") as status:
            fields = dict(line.rstrip("\n").split(":\t", 1) for line in status)
        return {name: fields[name] for name in ("CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")}

    with keeping(levels.KERNEL) as keeper:
        found = heard(keeper, rights)
    assert isinstance(found, dict)
    assert (found["CapAmb"], found["NoNewPrivs"], found["Seccomp"]) == (f"{0:016x}", "1", "2")
    forbidden = sum(1 << number for number in (12, 13, 16, 17, 19, 21, 27))  # net_*, sys_module, rawio, ptrace, admin
    assert int(found["CapEff"], 16) & forbidden == 0
    assert int(found["CapBnd"], 16) & forbidden == 0


def test_the_levels_below_are_tried_in_their_order_and_each_fault_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(flags: int) -> None:
        raise OSError(errno.EPERM, "forbidden")

    monkeypatch.setattr(linux, "unshare", refuse)
    level, faults = probe()
    assert (level.name, faults) == ("nosocket", [("kernel", "unshare", errno.EPERM)])
    monkeypatch.setattr("codex_core.offline.seccomp.install", lambda *_, **__: refuse(0))
    level, faults = probe()
    assert level.name == "python"
    assert faults == [("kernel", "unshare", errno.EPERM), ("nosocket", "seccomp", errno.EPERM)]


def test_a_masked_proc_costs_the_pid_namespace_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mount = linux.mount

    def refuse_proc(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
        if kind == "proc":
            raise OSError(errno.EPERM, "masked")
        mount(source, target, kind, flags, data)

    monkeypatch.setattr(linux, "mount", refuse_proc)
    level, faults = probe()
    assert (level.name, level.namespaces, level.pids) == ("kernel", True, False)
    assert faults == [("kernel", "proc", errno.EPERM)]


def test_a_level_that_is_none_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UsageError, match="no guard level 'steel'"):
        levels.check_name("steel")


def test_a_level_that_was_there_and_is_no_more_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(flags: int) -> None:
        raise OSError(errno.ENOSPC, "no more")

    with keeping(levels.KERNEL) as keeper:
        monkeypatch.setattr(linux, "unshare", refuse)
        with pytest.raises(GuardUnavailable, match="unshare: ENOSPC; a limit of namespaces is reached"):
            run(keeper, lambda: 0)


def test_a_sitecustomize_of_the_program_s_own_is_imported_behind_the_guard_s(tmp_path: Path) -> None:
    from codex_core.offline.environment import sealed_environment

    (tmp_path / "sitecustomize.py").write_text("print('its own')\n")
    environment = sealed_environment({**os.environ, "PYTHONPATH": str(tmp_path)})
    code = "import sys; print(sys.modules['sitecustomize'].__file__, [p for p in sys.path if 'offline' in p])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"its own\n{tmp_path}/sitecustomize.py []\n"


def test_a_python_that_nobody_keeps_is_left_alone() -> None:
    from codex_core.offline.environment import sealed_environment

    environment = sealed_environment({name: text for name, text in os.environ.items() if name != "CODEX_KEEPER"})
    code = """
        import socket, sys
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()
        print("codex_core.offline.guard" in sys.modules)
    """
    words = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
