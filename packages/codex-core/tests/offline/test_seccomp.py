"""Promises of codex_core.offline.seccomp: what the filter refuses, how, and that ordinary programs do not notice it.

What it answers is read from its BPF by an interpreter, for both machines; on x86-64 the kernel is asked as well.
"""

from __future__ import annotations

import errno
import json
import platform
import re
import signal
import socket
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from codex_core.offline import seccomp

MACHINES = ("x86_64", "aarch64")
LEVELS = ("LOOPBACK", "NO_SOCKET")
X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028  # AUDIT_ARCH_
ARCHES = {"x86_64": X86_64, "aarch64": AARCH64}
HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"),),
}
NUMBERS = {
    "x86_64": {
        "getpid": 39,
        "socket": 41,
        "socketpair": 53,
        "ioctl": 16,
        "clone": 56,
        "unshare": 272,
        "prlimit64": 302,
        "clone3": 435,
    },
    "aarch64": {
        "getpid": 172,
        "socket": 198,
        "socketpair": 199,
        "ioctl": 29,
        "clone": 220,
        "unshare": 97,
        "prlimit64": 261,
        "clone3": 435,
    },
}
REFUSED = re.findall(
    r"\w+",
    """
    acct add_key bpf chroot clock_settime delete_module finit_module fsconfig fsmount fsopen fspick init_module
    io_uring_enter io_uring_register io_uring_setup ioperm iopl kexec_file_load kexec_load keyctl lookup_dcookie mount
    mount_setattr move_mount nfsservctl open_by_handle_at open_tree open_tree_attr perf_event_open pivot_root quotactl
    quotactl_fd reboot request_key setdomainname sethostname setns settimeofday swapoff swapon umount2 userfaultfd
    """,
)
TRACING = ("kcmp", "pidfd_getfd", "process_vm_readv", "process_vm_writev", "ptrace")
OF_X86_ALONE = ("iopl", "ioperm")
UNIX, INET, INET6, NETLINK, PACKET, ALG, VSOCK = 1, 2, 10, 16, 17, 38, 40
STREAM, DGRAM, RAW, SEQPACKET, SOCK_PACKET = 1, 2, 3, 5, 10
FLAGS = 0o2000000 | 0o4000  # SOCK_CLOEXEC, SOCK_NONBLOCK
HIGH = 0xDEADBEEF << 32  # the kernel takes an int, and does not see this

on_machines = pytest.mark.parametrize("machine", MACHINES)
at_levels = pytest.mark.parametrize("level", LEVELS)
by_kernel = pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="makes system calls by their numbers on x86-64"
)


class Judged:
    """What a programme answers to a system call, and what it takes to find out: a small BPF interpreter."""

    def __init__(self, code: bytes, arch: int, number: int, arguments: tuple[int, ...] = ()) -> None:
        self.loaded: list[int] = []
        self.steps = 0
        words = [word & (1 << 64) - 1 for word in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
        self._data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *words)
        self._code = list(struct.iter_unpack("<HBBI", code))
        self.answer = _answer(self._run())

    def _run(self) -> int:
        at, word = 0, 0
        while True:
            kind, yes, no, operand = self._code[at]
            self.steps += 1
            at += 1
            if kind == 0x06:
                return int(operand)
            if kind == 0x20:
                self.loaded.append(operand)
                word = struct.unpack_from("<I", self._data, operand)[0]
            elif kind == 0x54:
                word &= operand
            else:
                at += yes if {0x15: word == operand, 0x35: word >= operand, 0x45: bool(word & operand)}[kind] else no


def _answer(value: int) -> str:
    named = {0x7FFF0000: "allowed", 0x80000000: "killed"}
    return named.get(value) or {0x50000: errno.errorcode}[value & 0xFFFF0000][value & 0xFFFF]


def _judge(machine: str, call: str | int, *arguments: int, level: str = "LOOPBACK", arch: int | None = None) -> Judged:
    code = seccomp.program(machine, families=getattr(seccomp, level))
    number = call if isinstance(call, int) else NUMBERS[machine][call]
    return Judged(code, ARCHES[machine] if arch is None else arch, number, arguments)


def _header(machine: str) -> dict[str, int]:
    """Every call that the kernel's headers know, with its number."""
    found = next((path for path in HEADERS[machine] if path.exists()), None)
    if found is None:
        pytest.skip("needs the kernel's headers (Debian: linux-libc-dev)")
    lines = re.findall(r"^#define\s+__NR(?:3264)?_(\w+)\s+(\d+)$", found.read_text(), re.MULTILINE)
    newer = {"open_tree_attr": 467}  # Linux 6.15
    return newer | {name: int(number) for name, number in lines if not name.endswith("syscalls")}


@on_machines
@at_levels
def test_of_all_system_calls_exactly_these_are_judged(machine: str, level: str) -> None:
    answers = {name: _judge(machine, number, level=level).answer for name, number in _header(machine).items()}

    refused = [name for name in REFUSED if machine == "x86_64" or name not in OF_X86_ALONE]
    no_family = {"socket": "EAFNOSUPPORT", "socketpair": "EAFNOSUPPORT"}  # all arguments are 0 here
    expected = dict.fromkeys(refused, "EPERM") | no_family | {"clone3": "ENOSYS"}
    assert {name: answer for name, answer in answers.items() if answer != "allowed"} == expected


@on_machines
@at_levels
def test_a_process_sets_the_limits_of_no_other(machine: str, level: str) -> None:
    number = NUMBERS[machine]["prlimit64"]
    own, high, others = (_judge(machine, number, who, level=level).answer for who in (0, HIGH, 1))
    assert (own, high, others) == ("allowed", "allowed", "EPERM")


@on_machines
@at_levels
def test_without_tracing_no_process_may_look_into_another(machine: str, level: str) -> None:
    numbers, families = _header(machine), getattr(seccomp, level)
    code = seccomp.program(machine, families=families, tracing=False)
    answers = {name: Judged(code, ARCHES[machine], numbers[name]).answer for name in TRACING}
    assert answers == dict.fromkeys(TRACING, "EPERM")
    assert {_judge(machine, numbers[name], level=level).answer for name in TRACING} == {"allowed"}


@on_machines
@pytest.mark.parametrize(
    ("arguments", "loopback", "no_socket"),
    [
        ((UNIX, STREAM, 0), "allowed", "allowed"),
        ((UNIX, SEQPACKET | FLAGS, 0), "allowed", "allowed"),
        ((HIGH | UNIX, STREAM, 0), "allowed", "allowed"),
        ((INET, STREAM, 0), "allowed", "EAFNOSUPPORT"),
        ((INET, STREAM | FLAGS, 6), "allowed", "EAFNOSUPPORT"),
        ((INET6, DGRAM, 17), "allowed", "EAFNOSUPPORT"),
        ((INET, DGRAM, 1), "allowed", "EAFNOSUPPORT"),
        ((HIGH | INET, HIGH | STREAM, HIGH), "allowed", "EAFNOSUPPORT"),
        ((INET, RAW, 1), "EPERM", "EAFNOSUPPORT"),
        ((INET6, RAW | FLAGS, 58), "EPERM", "EAFNOSUPPORT"),
        ((INET, HIGH | RAW, 255), "EPERM", "EAFNOSUPPORT"),
        ((INET, SOCK_PACKET, 0), "EPERM", "EAFNOSUPPORT"),
        ((INET, SEQPACKET, 0), "EPERM", "EAFNOSUPPORT"),  # SCTP, where its module is loaded
        ((INET, STREAM, 262), "EPROTONOSUPPORT", "EAFNOSUPPORT"),  # MPTCP
        ((INET6, STREAM, HIGH | 262), "EPROTONOSUPPORT", "EAFNOSUPPORT"),
        ((INET, STREAM, 132), "EPROTONOSUPPORT", "EAFNOSUPPORT"),  # SCTP
        ((INET, STREAM, 256), "EPROTONOSUPPORT", "EAFNOSUPPORT"),  # SMC
        ((NETLINK, RAW | FLAGS, 0), "allowed", "EAFNOSUPPORT"),  # NETLINK_ROUTE
        ((NETLINK, DGRAM, 4), "allowed", "EAFNOSUPPORT"),  # NETLINK_SOCK_DIAG
        ((NETLINK, RAW, 16), "EPROTONOSUPPORT", "EAFNOSUPPORT"),  # NETLINK_GENERIC
        ((NETLINK, RAW, HIGH | 15), "EPROTONOSUPPORT", "EAFNOSUPPORT"),  # NETLINK_KOBJECT_UEVENT
        ((PACKET, RAW, 3), "EAFNOSUPPORT", "EAFNOSUPPORT"),
        ((HIGH | PACKET, RAW, 3), "EAFNOSUPPORT", "EAFNOSUPPORT"),
        ((ALG, SEQPACKET, 0), "EAFNOSUPPORT", "EAFNOSUPPORT"),
        ((VSOCK, STREAM, 0), "EAFNOSUPPORT", "EAFNOSUPPORT"),
        ((-1, STREAM, 0), "EAFNOSUPPORT", "EAFNOSUPPORT"),
    ],
)
def test_sockets_are_judged_by_family_type_and_protocol(
    machine: str, arguments: tuple[int, ...], loopback: str, no_socket: str
) -> None:
    answers = [_judge(machine, "socket", *arguments, level=level).answer for level in LEVELS]
    assert answers == [loopback, no_socket]


@on_machines
def test_loopback_leaves_no_family_but_its_four(machine: str) -> None:
    answers = {family: _judge(machine, "socket", family, STREAM, 0).answer for family in range(256)}
    assert {family for family, answer in answers.items() if answer == "allowed"} == {UNIX, INET, INET6, NETLINK}
    assert {answer for family, answer in answers.items() if family not in seccomp.LOOPBACK} == {"EAFNOSUPPORT"}


@on_machines
@at_levels
def test_only_unix_sockets_come_in_pairs(machine: str, level: str) -> None:
    families = (UNIX, HIGH | UNIX, INET, NETLINK, VSOCK)
    answers = [_judge(machine, "socketpair", family, STREAM, 0, level=level).answer for family in families]
    assert answers == ["allowed", "allowed", "EAFNOSUPPORT", "EAFNOSUPPORT", "EAFNOSUPPORT"]


@on_machines
@pytest.mark.parametrize(
    ("flags", "unshare", "clone"),
    [
        (0, "allowed", "allowed"),
        (0x00000600, "allowed", "allowed"),  # CLONE_FS | CLONE_FILES
        (0x00040000, "allowed", "allowed"),  # CLONE_SYSVSEM
        (0x00020000, "EPERM", "EPERM"),  # CLONE_NEWNS
        (0x02000000, "EPERM", "EPERM"),  # CLONE_NEWCGROUP
        (0x04000000, "EPERM", "EPERM"),  # CLONE_NEWUTS
        (0x08000000, "EPERM", "EPERM"),  # CLONE_NEWIPC
        (0x10000000, "EPERM", "EPERM"),  # CLONE_NEWUSER
        (0x20000000, "EPERM", "EPERM"),  # CLONE_NEWPID
        (0x40000000, "EPERM", "EPERM"),  # CLONE_NEWNET
        (0x50000600, "EPERM", "EPERM"),
        (0x00000080, "EPERM", "allowed"),  # CLONE_NEWTIME, in clone a part of the exit signal
        (0x003D0F00, "EPERM", "allowed"),  # what glibc starts a thread with
        (0x01200011, "EPERM", "allowed"),  # what glibc forks with
        (HIGH, "EPERM", "allowed"),  # of clone the kernel reads the low word alone
    ],
)
def test_no_flag_makes_a_namespace(machine: str, flags: int, unshare: str, clone: str) -> None:
    assert [_judge(machine, call, flags).answer for call in ("unshare", "clone")] == [unshare, clone]


@on_machines
@at_levels
def test_devices_neither_type_into_a_terminal_nor_send_packets(machine: str, level: str) -> None:
    requests = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TUNSETIFF": 0x400454CA, "VHOST_SET_OWNER": 0xAF01}
    others = {"TCGETS": 0x5401, "TIOCGWINSZ": 0x5413, "FIONREAD": 0x541B, "FIOCLEX": 0x5451}
    answers = {
        name: [_judge(machine, "ioctl", 0, high | request, level=level).answer for high in (0, HIGH)]
        for name, request in (requests | others).items()
    }
    assert answers == dict.fromkeys(requests, ["EPERM"] * 2) | dict.fromkeys(others, ["allowed"] * 2)


@on_machines
@pytest.mark.parametrize("call", ["getpid", "socket", "clone3"])
def test_a_call_in_the_way_of_another_architecture_kills(machine: str, call: str) -> None:
    others = {X86_64, I386, AARCH64, ARM, 0} - {ARCHES[machine]}
    assert {_judge(machine, call, arch=arch).answer for arch in others} == {"killed"}


def test_every_number_with_the_bit_of_x32_kills() -> None:
    numbers = [0x40000000, *(0x40000000 | number for number in NUMBERS["x86_64"].values()), 0x7FFFFFFF, 0xFFFFFFFE]
    assert {_judge("x86_64", number).answer for number in numbers} == {"killed"}


@on_machines
def test_a_call_that_a_tracer_skips_is_not_killed(machine: str) -> None:
    assert _judge(machine, -1).answer == "allowed"


@on_machines
@at_levels
def test_a_call_that_is_always_allowed_is_told_by_its_number_within_twelve_steps(machine: str, level: str) -> None:
    found = [_judge(machine, number, level=level) for number in range(600) if number not in NUMBERS[machine].values()]
    allowed = [judged for judged in found if judged.answer == "allowed"]
    assert len(allowed) > 500
    assert {tuple(judged.loaded) for judged in allowed} == {(4, 0)}
    assert max(judged.steps for judged in allowed) <= 12


@on_machines
def test_a_programme_is_the_same_bytes_every_time(machine: str) -> None:
    first, second = (seccomp.program(machine, families=frozenset({NETLINK, INET6, INET, UNIX})) for _ in range(2))
    assert first == second == seccomp.program(machine, families=seccomp.LOOPBACK)


@pytest.mark.parametrize("machine", ["riscv64", "aarch64_be", "i686", ""])
def test_a_machine_whose_numbers_are_not_known_gets_no_programme(machine: str) -> None:
    with pytest.raises(OSError, match="a seccomp filter for x86_64 and aarch64, not for this machine") as refusal:
        seccomp.program(machine, families=seccomp.LOOPBACK)
    assert refusal.value.errno == errno.ENOSYS


@pytest.mark.parametrize("family", [PACKET, ALG, VSOCK])
def test_no_caller_can_ask_for_a_family_that_leads_out(family: int) -> None:
    with pytest.raises(ValueError, match=rf"socket families \[{family}\] cannot be held inside"):
        seccomp.program("x86_64", families=seccomp.LOOPBACK | {family})


def test_the_families_are_those_of_linux() -> None:
    assert seccomp.LOOPBACK == {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    assert seccomp.NO_SOCKET == {socket.AF_UNIX}


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = {"dataclasses", "typing", "re", "enum", "socket", "platform", "collections", "functools", "contextlib"}
    source = (
        "import sys; bare = set(sys.modules); import codex_core.offline.seccomp\n"
        f"print(sorted((set(sys.modules) - bare) & {heavy!r}))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


PRELUDE = """
import ctypes, errno, json, os, resource, struct, threading
from codex_core.offline import seccomp

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

def call(number, *arguments):
    done = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments))
    return errno.errorcode[ctypes.get_errno()] if done == -1 else "done"

def install(families):
    seccomp.install(seccomp.program(os.uname().machine, families=families))

def load(code):  # for this thread alone
    seccomp.linux.prctl(seccomp.linux.PR_SET_NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(code, len(code))
    assert libc.prctl(22, ctypes.c_ulong(2), struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))) == 0

def status(field):
    return next(line.split()[1] for line in open("/proc/thread-self/status") if line.startswith(field + ":"))
"""


def _run(source: str) -> subprocess.CompletedProcess[str]:
    """What a fresh Python makes of ``source``, which has the names of the prelude."""
    words = [sys.executable, "-c", PRELUDE + textwrap.dedent(source)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def _confined(level: str, source: str) -> Any:  # Any: whatever it found, as JSON
    """What ``source`` leaves in ``found``, run after the filter is installed."""
    done = _run(f"install(seccomp.{level})\n{textwrap.dedent(source)}\nprint(json.dumps(found))")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@by_kernel
@at_levels
def test_the_kernel_refuses_what_leads_around_a_seal(level: str) -> None:
    """Each gets arguments that would fail in another way, so that nothing happens if the filter is wrong."""
    numbers = {name: number for name, number in _header("x86_64").items() if name in REFUSED}
    found = _confined(level, f"found = {{name: call(at, *[-1] * 6) for name, at in {numbers!r}.items()}}")
    assert found == dict.fromkeys(REFUSED, "EPERM")


@by_kernel
def test_the_kernel_refuses_sockets_that_no_namespace_holds() -> None:
    found = _confined(
        "LOOPBACK",
        f"""
        kinds = [
            ({INET}, {STREAM}, 0), ({HIGH | INET}, {HIGH | STREAM | FLAGS}, {HIGH | 6}), ({UNIX}, {SEQPACKET}, 0),
            ({NETLINK}, {RAW}, 0), ({NETLINK}, {RAW}, 16), ({INET}, {RAW}, 1), ({INET}, {SOCK_PACKET}, 0),
            ({INET}, {STREAM}, 262), ({PACKET}, {RAW}, 3), ({HIGH | PACKET}, {RAW}, 3), ({ALG}, {SEQPACKET}, 0),
            ({VSOCK}, {STREAM}, 0),
        ]
        found = [call(41, *kind) for kind in kinds] + [call(53, family, {STREAM}, 0, 0) for family in (2, 16, 30)]
        """,
    )
    expected = ["done"] * 4 + ["EPROTONOSUPPORT", "EPERM", "EPERM", "EPROTONOSUPPORT"] + ["EAFNOSUPPORT"] * 4
    assert found == expected + ["EAFNOSUPPORT"] * 3


@by_kernel
def test_without_loopback_the_kernel_leaves_unix_sockets_alone() -> None:
    found = _confined("NO_SOCKET", f"found = {{n: call(41, n, {DGRAM}, 0) for n in range(1, 64)}}")
    assert found == {str(family): "done" if family == UNIX else "EAFNOSUPPORT" for family in range(1, 64)}


@by_kernel
@at_levels
def test_the_kernel_makes_no_namespace(level: str) -> None:
    found = _confined(
        level,
        """
        flags = [0x80, *(1 << bit for bit in (17, 25, 26, 27, 28, 29, 30)), 0x30020000]
        found = [call(272, one) for one in flags] + [call(56, one | 17) for one in flags[1:]]
        found.append(call(435, 0, 0))
        """,
    )
    assert found == ["EPERM"] * 17 + ["ENOSYS"]


@by_kernel
def test_the_kernel_types_nothing_into_a_terminal() -> None:
    found = _confined(
        "LOOPBACK",
        f"""
        import pty
        _, end = pty.openpty()
        letter = ctypes.create_string_buffer(b"x")
        found = [call(16, end, high | 0x5412, ctypes.addressof(letter)) for high in (0, {HIGH})]
        found += [call(16, -1, 0x541C, 0), call(16, -1, 0x400454CA, 0), call(16, -1, 0x5401, 0)]
        """,
    )
    assert found == ["EPERM", "EPERM", "EPERM", "EPERM", "EBADF"]


@by_kernel
@pytest.mark.parametrize("source", ["call(0x40000000 | 39)", "load(seccomp.program('aarch64', families=frozenset()))"])
def test_the_kernel_kills_for_a_call_of_another_architecture(source: str) -> None:
    """The filter of another machine shows it without a call of that machine: no number reaches its tables."""
    done = _run(f"install(seccomp.LOOPBACK)\nprint('in', flush=True)\n{source}\nprint('out')")
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "in\n")


@by_kernel
def test_a_number_that_means_no_call_stays_an_error() -> None:
    assert _confined("LOOPBACK", "found = [call(-1), call(9999)]") == ["ENOSYS", "ENOSYS"]


@by_kernel
def test_threads_from_before_and_after_are_held_too() -> None:
    done = _run(
        f"""
        ready, found = threading.Event(), {{}}
        def attempt(name):
            ready.wait()
            found[name] = [call(41, {VSOCK}, {STREAM}, 0), call(41, {INET}, {STREAM}, 0), status("NoNewPrivs")]
        before = threading.Thread(target=attempt, args=("before",))
        before.start()
        install(seccomp.LOOPBACK)
        ready.set()
        after = threading.Thread(target=attempt, args=("after",))
        after.start()
        before.join()
        after.join()
        print(json.dumps(found))
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {name: ["EAFNOSUPPORT", "done", "1"] for name in ("before", "after")}


@by_kernel
def test_what_it_starts_is_held_too_and_gains_no_rights() -> None:
    found = _confined(
        "NO_SOCKET",
        """
        import subprocess, sys
        source = "import socket\\ntry: socket.socket()\\nexcept OSError as error: print(error.errno)"
        found = [subprocess.check_output([sys.executable, "-c", source], text=True), status("NoNewPrivs")]
        """,
    )
    assert found == [f"{errno.EAFNOSUPPORT}\n", "1"]


@by_kernel
def test_a_second_filter_can_only_take_away() -> None:
    found = _confined(
        "NO_SOCKET",
        f"""
        install(seccomp.LOOPBACK)
        found = [call(41, {INET}, {STREAM}, 0), call(41, {UNIX}, {STREAM}, 0)]
        """,
    )
    assert found == ["EAFNOSUPPORT", "done"]


FORBID_SECCOMP = """
hidden = [(0x20, 0, 0, 0), (0x15, 0, 1, 317), (0x06, 0, 0, 0x50000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)]
load(b"".join(struct.pack("HBBI", *one) for one in hidden))
"""


@by_kernel
def test_prctl_serves_where_seccomp_is_forbidden() -> None:
    done = _run(f"{FORBID_SECCOMP}\ninstall(seccomp.LOOPBACK)\nprint(call(41, {VSOCK}, {STREAM}, 0))")
    assert (done.returncode, done.stdout, done.stderr) == (0, "EAFNOSUPPORT\n", "")


@by_kernel
def test_a_filter_that_would_miss_a_thread_is_an_error() -> None:
    """Where seccomp(2) is forbidden, and where a thread has a filter of its own."""
    done = _run(
        f"""
        ready, over = threading.Event(), threading.Event()
        def wait():
            load(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
            ready.set()
            over.wait()
        threading.Thread(target=wait).start()
        ready.wait()
        def attempt():
            try:
                install(seccomp.LOOPBACK)
            except OSError as error:
                print(errno.errorcode[error.errno])
        attempt()
        {textwrap.indent(FORBID_SECCOMP, " " * 8)}
        attempt()
        over.set()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "EBUSY\nENOSYS\n", "")


@by_kernel
@at_levels
def test_ordinary_programs_do_not_notice(level: str) -> None:
    found = _confined(
        level,
        """
        import asyncio, multiprocessing, socket, subprocess, sys
        from concurrent.futures import ThreadPoolExecutor

        found = [subprocess.check_output(["echo", "said"], text=True)]
        found.append(subprocess.run("exit 3", shell=True).returncode)
        child = os.fork()
        if child == 0:
            os._exit(4)
        found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        with ThreadPoolExecutor(2) as threads:
            found.append(list(threads.map(abs, [-1, -2])))
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(1) as processes:
                found.append(processes.map(abs, [-3]))
        found.append(asyncio.run(asyncio.sleep(0, "slept")))
        one, other = socket.socketpair()
        one.send(b"pair")
        found.append(other.recv(9).decode())
        found.append(sorted({address[0] for *_, address in socket.getaddrinfo("localhost", 80, socket.AF_INET)}))
        """,
    )
    assert found == ["said\n", 3, 4, [1, 2], [3], [3], [3], "slept", "pair", ["127.0.0.1"]]


@by_kernel
def test_loopback_serves_and_connects() -> None:
    found = _confined(
        "LOOPBACK",
        """
        import asyncio, socket

        with socket.create_server(("127.0.0.1", 0)) as server:
            with socket.create_connection(server.getsockname()) as client, server.accept()[0] as peer:
                peer.sendall(b"tcp")
                found = [client.recv(9).decode()]
        with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
            one.bind(("127.0.0.1", 0))
            other.sendto(b"udp", one.getsockname())
            found.append(one.recv(9).decode())

        async def talk():
            async def answer(reader, writer):
                writer.write(await reader.read(9))
                writer.close()
            async with await asyncio.start_server(answer, "localhost", 0) as server:
                reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
                writer.write(b"asyncio")
                word = await reader.read()
                writer.close()
                return word.decode()
        found.append(asyncio.run(talk()))
        found.append([name for _, name in socket.if_nameindex() if name == "lo"])
        """,
    )
    assert found == ["tcp", "udp", "asyncio", ["lo"]]
