"""The ways out that are tried, where each would lead, and at which level which of them is known to be open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_Listener = Literal["tcp", "tcp6", "udp", "udp6", "vsock", "abstract", "stream", "datagram"]
Target = _Listener | Literal["descriptor", "held", "memory", "signal", "key", "away", "inside"]
"""Where a way leads: a listener of the host's, by its kind; a ``descriptor`` that was open before; the connection that
another process has ``held``, that process's ``memory``, a ``signal`` to it; a ``key`` of the user's; an address
``away`` from this machine; or nowhere, and then the attempt itself tells ``inside`` whether it was let."""


@dataclass(frozen=True)
class Way:
    """One way out: ``about`` is for a person. At the levels ``open_at`` nothing is promised of it."""

    name: str
    target: Target
    about: str
    open_at: tuple[str, ...] = ("python",)
    """Names of levels, and INHERITED."""

    def is_held_at(self, level: str) -> bool:
        """Whether the seal promises that nothing goes this way."""
        return level not in self.open_at


INHERITED = "inherited"
"""The level kernel where the network was gone before: nothing is promised but that, and what seccomp holds."""
_BELOW_KERNEL = ("python", "nosocket", INHERITED)
_SHARED_LOOPBACK = ("python", INHERITED)
_CLIENTS = {
    "python": "Python's socket module",
    "ctypes": "connect(2) by ctypes",
    "asyncio": "asyncio",
    "child": "a child process",
    "grandchild": "a grandchild in a session of its own",
    "obstore": "obstore",
    "pycurl": "pycurl",
    "grpcio": "grpcio",
}

WAYS = (
    *(
        Way(f"{name} to loopback", "tcp", f"{about}, to a server on the host's 127.0.0.1", _SHARED_LOOPBACK)
        for name, about in _CLIENTS.items()
    ),
    *(Way(f"{name} away", "away", f"{about}, to an address elsewhere") for name, about in _CLIENTS.items()),
    Way("tcp over ipv6", "tcp6", "to a server on the host's ::1", _SHARED_LOOPBACK),
    Way("udp", "udp", "a datagram to the host's 127.0.0.1", _SHARED_LOOPBACK),
    Way("udp over ipv6", "udp6", "a datagram to the host's ::1", _SHARED_LOOPBACK),
    Way("udp away", "away", "a datagram to an address elsewhere"),
    Way("tcp fast open", "tcp", "data in the first packet, without connect(2)", _SHARED_LOOPBACK),
    Way("tcp fast open away", "away", "data in the first packet, to an address elsewhere"),
    Way("mptcp", "tcp", "a socket of multipath TCP"),
    Way("raw", "inside", "a raw socket of IP"),
    Way("packet", "inside", "a packet socket, below IP"),
    Way("vsock", "vsock", "a socket between virtual machines and their host"),
    Way("io_uring", "inside", "a ring, which makes system calls out of seccomp's sight"),
    Way("abstract socket", "abstract", "a unix socket without a file", _BELOW_KERNEL),
    Way("socket in /tmp", "stream", "a unix socket in /tmp, bound before", _BELOW_KERNEL),
    Way("socket in /run", "stream", "a unix socket in /run, bound before", _BELOW_KERNEL),
    Way("datagram socket", "datagram", "a unix datagram socket, bound before", _BELOW_KERNEL),
    Way("descriptor", "descriptor", "a connection that was open before and is inherited"),
    Way("unshare", "inside", "namespaces of its own, in which a program has all rights"),
    Way("setns", "tcp", "the network namespace of an outside process, by setns(2)"),
    Way("nsenter", "tcp", "the network namespace of an outside process, by nsenter(1)"),
    Way("umount", "stream", "a socket that a mount hides, after umount2(2)", _BELOW_KERNEL),
    Way("mount", "inside", "a mount of its own"),
    Way("remount", "inside", "writing below a mount that was read-only, after mount(2)", _BELOW_KERNEL),
    Way("core_pattern", "inside", "naming a program that the kernel starts outside", _BELOW_KERNEL),
    Way("sysrq", "inside", "commanding the kernel by /proc/sysrq-trigger", _BELOW_KERNEL),
    Way("/sys", "inside", "changing a device's or the kernel's setting", _BELOW_KERNEL),
    Way("/dev/mem", "inside", "the memory of the machine", _BELOW_KERNEL),
    Way("disk", "inside", "a disk, below its file system", _BELOW_KERNEL),
    Way("mknod", "inside", "a device file of its own", _BELOW_KERNEL),
    Way("ptrace", "memory", "tracing an outside process of the same user"),
    Way("process_vm_writev", "memory", "writing the memory of an outside process"),
    Way("/proc/PID/mem", "memory", "the memory of an outside process as a file", _BELOW_KERNEL),
    Way("pidfd_getfd", "held", "taking a connection from an outside process"),
    Way("kill", "signal", "a signal to an outside process", _BELOW_KERNEL),
    Way("pidfd_send_signal", "signal", "a signal to an outside process by its pidfd", _BELOW_KERNEL),
    Way("keyctl", "key", "a key left with the user, which others can read"),
)
AWAY = ("198.51.100.7", 80)
"""An address that nobody has: RFC 5737 keeps the network for documentation."""
