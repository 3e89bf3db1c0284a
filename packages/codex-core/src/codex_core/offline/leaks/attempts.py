"""The attempts: each tries one way out, from inside a seal. Outside of one they do no harm either.

``python -m codex_core.offline.leaks.attempts SPEC`` makes all for which SPEC, the JSON of ``Outside.spec``, has a
target. It prints one JSON object a line: first the level, then for each attempt whether it was ``let``, and what it
said.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_core.errors import CodexError
from codex_core.offline import linux
from codex_core.offline.leaks.outside import KEY, MARK
from codex_core.offline.leaks.ways import AWAY, WAYS
from codex_core.offline.reporter import LEVEL
from codex_core.offline.seccomp import call_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PATIENCE = 15
"""Seconds that one attempt may take."""
_GRANDCHILD = 0.3
"""Seconds for which the grandchild waits, so that its parents have ended."""
_PROTO_MPTCP = 262
_USER_KEYRING = -4
_PTRACE_ATTACH, _PTRACE_DETACH, _PTRACE_POKEDATA = 16, 17, 5
_MS_REMOUNT_WRITABLE = linux.MS_REMOUNT | linux.MS_BIND
_SETTINGS = ("power/state", "kernel/mm/transparent_hugepage/enabled", "kernel/uevent_helper", "kernel/profiling")
"""Files of /sys that root may write to."""


_CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


class _SaidByProgram(Exception):
    """A program did not come through: what it printed."""


class NotTried(Exception):
    """The attempt cannot be made here: why not."""


def main() -> int:
    """Make every attempt; 0 whatever comes of them."""
    spec = json.loads(sys.argv[1])
    print(json.dumps({"level": os.environ.get(LEVEL)}), flush=True)
    for way in WAYS:
        if way.name in spec or way.target == "inside" or (way.target == "away" and spec["away"]):
            print(json.dumps({"name": way.name, **_attempt(way.name, spec)}), flush=True)
    return 0


def _attempt(name: str, spec: Mapping[str, Any]) -> dict[str, object]:
    """What a child makes of one attempt, since it may change or end the process that makes it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(_PATIENCE)
        os.write(write, json.dumps(_outcome(name, spec)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        said = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if said:
        return dict(json.loads(said))
    waited = status == -signal.SIGALRM  # as one does who has sent something and gets no answer
    return {"let": waited, "said": "it waited for an answer" if waited else f"it ended with status {status}"}


def _outcome(name: str, spec: Mapping[str, Any]) -> dict[str, object]:
    try:
        if name.endswith(" away"):
            _away(name.removesuffix(" away"))
        elif name.endswith(" to loopback"):
            _CLIENTS[name.removesuffix(" to loopback")]("127.0.0.1", spec[name])
        else:
            _ATTEMPTS[name](spec.get(name), spec)
    except NotTried as reason:
        return {"let": None, "said": str(reason)}
    except BaseException as error:  # noqa: BLE001 - a panic of a native library is one too
        return {"let": False, "said": _said(error)}
    return {"let": True, "said": "nothing stood in the way"}


def _said(error: BaseException) -> str:
    text = error.message if isinstance(error, CodexError) else str(error)
    name = "" if isinstance(error, _SaidByProgram) else f"{type(error).__name__}: "
    return f"{name}{text.strip().partition(chr(10))[0][:160]}".removesuffix(": ")


def _python(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=3) as sock:
        sock.sendall(MARK)


def _ctypes(host: str, port: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    address = socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)
    descriptor = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    if descriptor < 0 or libc.connect(descriptor, address, len(address)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _asyncio(host: str, port: int) -> None:
    import asyncio

    async def connect() -> None:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 3)
        writer.close()

    asyncio.run(connect())


def _child(host: str, port: int) -> None:
    _run([sys.executable, "-c", _CONNECT, host, str(port)])


def _run(words: Sequence[str]) -> None:
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise _SaidByProgram(done.stderr)


def _grandchild(host: str, port: int) -> None:
    """It tries when its parent has ended, from a session of its own."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(_GRANDCHILD)
            try:
                _ctypes(host, port)
            except OSError as error:
                os.write(write, _said(error).encode())
        os._exit(0)
    os.close(write)
    os.wait()
    with os.fdopen(read) as stream:
        if said := stream.read():
            raise _SaidByProgram(said)


def _obstore(host: str, port: int) -> None:
    store = _library("obstore.store").HTTPStore
    options = {"allow_http": True, "timeout": "2s", "connect_timeout": "2s"}
    at = store.from_url(f"http://{host}:{port}", client_options=options, retry_config={"max_retries": 0})
    at.get("leaked")


def _pycurl(host: str, port: int) -> None:
    pycurl = _library("pycurl")
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"http://{host}:{port}/leaked")
    curl.setopt(pycurl.TIMEOUT, 2)
    curl.perform()


def _grpcio(host: str, port: int) -> None:
    grpc = _library("grpc")
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=2)


_CLIENTS: Mapping[str, Callable[[str, int], None]] = {
    "python": _python,
    "ctypes": _ctypes,
    "asyncio": _asyncio,
    "child": _child,
    "grandchild": _grandchild,
    "obstore": _obstore,
    "pycurl": _pycurl,
    "grpcio": _grpcio,
    "udp": lambda host, port: _datagram(socket.AF_INET, (host, port)),
    "tcp fast open": lambda host, port: _fast_open((host, port)),
}


def _away(client: str) -> None:
    """Try an address outside. A library's own words say little: what counts is that the kernel had no route."""
    before = _without_route()
    try:
        _CLIENTS[client](*AWAY)
    except NotTried:
        raise
    except Exception as error:
        if _says_unreachable(error) or os.environ.get(LEVEL) == "nosocket":
            raise
    if (tries := _without_route() - before) > 0:
        raise ConnectionError(f"the kernel had no route for {tries} packet{'' if tries == 1 else 's'}")


def _says_unreachable(error: BaseException) -> bool:
    refused = {errno.ENETUNREACH, errno.EAFNOSUPPORT, errno.EPERM, errno.EPROTONOSUPPORT}
    return (isinstance(error, OSError) and error.errno in refused) or "PolicyRefused" in _said(error)


def _without_route() -> int:
    heads, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    return int(values[heads.index("OutNoRoutes")])


def _library(module: str) -> Any:  # Any: no part of ours, and it may be absent
    try:
        return import_module(module)
    except ImportError:
        raise NotTried(f"{module.partition('.')[0]} is not installed") from None


def _datagram(family: int, address: Any) -> None:  # Any: as the family has it
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(MARK, address)


def _fast_open(address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.sendto(MARK, socket.MSG_FASTOPEN, address)


def _stream(family: int, address: Any, protocol: int = 0) -> None:  # Any: as the family has it
    with socket.socket(family, socket.SOCK_STREAM, protocol) as sock:
        sock.settimeout(3)
        sock.connect(address)


def _descriptor(_: object, __: object) -> None:
    """Write to whatever socket there is."""
    found = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
    for number in found:
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.write(number, MARK)
                return
    raise OSError(errno.EBADF, f"none of {len(found)} descriptors is a socket")


def _setns(port: int, spec: Mapping[str, Any]) -> None:
    error: OSError | None = None
    for process in (spec["outside process"], 1, os.getppid()):
        try:
            with open(f"/proc/{process}/ns/net", "rb") as namespace:
                linux.call(call_number("setns"), namespace.fileno(), linux.CLONE_NEWNET)
            _stream(socket.AF_INET, ("127.0.0.1", port))
        except OSError as refusal:
            error = refusal
        else:
            return
    assert error is not None
    raise error


def _nsenter(port: int, spec: Mapping[str, Any]) -> None:
    tool = shutil.which("nsenter")
    if tool is None:
        raise NotTried("there is no nsenter")
    enter = [tool, "--net", "--target", str(spec["outside process"])]
    _run([*enter, sys.executable, "-c", _CONNECT, "127.0.0.1", str(port)])


def _umount(path: str, _: object) -> None:
    """Take away the mount over a socket, or over its folder where that is one of a seal's own, and connect."""
    covered = any(line.split()[:2] == ["codex", "/run"] for line in Path("/proc/self/mounts").read_text().splitlines())
    refusals = []
    for target in (path, *(["/run"] if covered else [])):
        try:
            linux.call(call_number("umount2"), os.fsencode(target), 2)  # MNT_DETACH
        except OSError as error:
            refusals.append(error)
    try:
        _stream(socket.AF_UNIX, path)
    except OSError as error:
        raise refusals[0] if refusals else error from error


def _mount(_: object, __: object) -> None:
    folder = tempfile.mkdtemp(prefix="codex-leaks-")
    try:
        linux.mount("codex-leaks", folder, "tmpfs")
        linux.call(call_number("umount2"), os.fsencode(folder), 2)
    finally:
        os.rmdir(folder)


def _remount(_: object, __: object) -> None:
    with suppress(OSError):
        linux.mount("none", "/proc/sys", flags=_MS_REMOUNT_WRITABLE)
    _open_for_writing("/proc/sys/kernel/core_pattern")


def _open_for_writing(path: str) -> None:
    """Open, and write nothing."""
    os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))


def _open_setting(_: object, __: object) -> None:
    there = [path for name in _SETTINGS if os.path.exists(path := f"/sys/{name}")]
    if not there:
        raise NotTried("this machine's /sys has none of the settings that are tried")
    _open_for_writing(there[0])


def _open_disk(_: object, __: object) -> None:
    disks = sorted(os.listdir("/sys/class/block"))
    if not disks:
        raise NotTried("this machine has no disk")
    os.close(os.open(f"/dev/{disks[0]}", os.O_RDONLY | os.O_CLOEXEC))


def _open_memory(_: object, __: object) -> None:
    os.close(os.open("/dev/mem", os.O_RDONLY | os.O_CLOEXEC))


def _mknod(_: object, __: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.mknod(f"{folder}/mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1))
        os.close(os.open(f"{folder}/mem", os.O_RDONLY | os.O_CLOEXEC))


def _ptrace(target: list[int], _: object) -> None:
    pid, address = target
    trace = call_number("ptrace")
    linux.call(trace, _PTRACE_ATTACH, pid, 0, 0)
    try:
        os.waitpid(pid, 0)
        linux.call(trace, _PTRACE_POKEDATA, pid, address, int.from_bytes(MARK, sys.byteorder))
    finally:
        linux.call(trace, _PTRACE_DETACH, pid, 0, 0)


def _process_vm_writev(target: list[int], _: object) -> None:
    pid, address = target
    buffer = ctypes.create_string_buffer(MARK, len(MARK))
    near, far = (
        (at).to_bytes(8, sys.byteorder) + len(MARK).to_bytes(8, sys.byteorder)
        for at in (ctypes.addressof(buffer), address)
    )
    linux.call(call_number("process_vm_writev"), pid, near, 1, far, 1, 0)


def _process_memory(target: list[int], _: object) -> None:
    pid, address = target
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(MARK)


def _pidfd_getfd(target: list[int], _: object) -> None:
    pid, number = target
    taken = linux.call(call_number("pidfd_getfd"), os.pidfd_open(pid), number, 0)
    os.write(taken, MARK)


def _pidfd_signal(target: list[int], _: object) -> None:
    signal.pidfd_send_signal(os.pidfd_open(target[0]), target[1])


_ATTEMPTS: Mapping[
    str, Callable[[Any, Mapping[str, Any]], object]
] = {  # Any: the target, as Outside has it in its spec
    "tcp over ipv6": lambda port, _: _stream(socket.AF_INET6, ("::1", port)),
    "udp": lambda port, _: _datagram(socket.AF_INET, ("127.0.0.1", port)),
    "udp over ipv6": lambda port, _: _datagram(socket.AF_INET6, ("::1", port)),
    "tcp fast open": lambda port, _: _fast_open(("127.0.0.1", port)),
    "mptcp": lambda port, _: _stream(socket.AF_INET, ("127.0.0.1", port), _PROTO_MPTCP),
    "raw": lambda *_: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
    "packet": lambda *_: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close(),
    "vsock": lambda port, _: _stream(socket.AF_VSOCK, (1, port)),  # VMADDR_CID_LOCAL
    "io_uring": lambda *_: os.close(linux.call(call_number("io_uring_setup"), 4, bytes(bytearray(120)))),
    "abstract socket": lambda name, _: _stream(socket.AF_UNIX, f"\0{name}"),
    "socket in /tmp": lambda path, _: _stream(socket.AF_UNIX, path),
    "socket in /run": lambda path, _: _stream(socket.AF_UNIX, path),
    "datagram socket": lambda path, _: _datagram(socket.AF_UNIX, path),
    "descriptor": _descriptor,
    "unshare": lambda *_: linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNET),
    "setns": _setns,
    "nsenter": _nsenter,
    "umount": _umount,
    "mount": _mount,
    "remount": _remount,
    "core_pattern": lambda *_: _open_for_writing("/proc/sys/kernel/core_pattern"),
    "sysrq": lambda *_: _open_for_writing("/proc/sysrq-trigger"),
    "/sys": _open_setting,
    "/dev/mem": _open_memory,
    "disk": _open_disk,
    "mknod": _mknod,
    "ptrace": _ptrace,
    "process_vm_writev": _process_vm_writev,
    "/proc/PID/mem": _process_memory,
    "pidfd_getfd": _pidfd_getfd,
    "kill": lambda target, _: os.kill(*target),
    "pidfd_send_signal": _pidfd_signal,
    "keyctl": lambda *_: linux.call(call_number("add_key"), b"user", KEY.encode(), MARK, len(MARK), _USER_KEYRING),
}

if __name__ == "__main__":
    sys.exit(main())
