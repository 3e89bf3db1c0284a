"""Levels: what is enforced around a program, which of it this machine gives, and what forbids the rest."""

from __future__ import annotations

import errno
import os

from codex_core.offline import seccomp
from codex_core.offline.namespaces import OPENINGS, SealFault

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from codex_core.errors import GuardUnavailable
    from codex_core.offline.seal import Seal

NAMES = ("python", "nosocket", "kernel")
"""The levels by name, the weakest first."""
DEFAULT = "nosocket"
"""The least that ``codex run`` and ``codex sealed`` take without being told otherwise."""


class Level:
    """One way to enforce a level.

    ``namespaces``: the program gets namespaces of its own, and with ``pids`` a pid namespace among them. ``families``
    are the socket families that seccomp leaves it, None for no filter at all. ``inherited``: the network is already
    unreachable from here.
    """

    __slots__ = ("families", "inherited", "name", "namespaces", "pids")

    def __init__(
        self,
        name: str,
        *,
        families: frozenset[int] | None,
        namespaces: bool = False,
        pids: bool = False,
        inherited: bool = False,
    ) -> None:
        self.name, self.families, self.namespaces, self.pids = name, families, namespaces, pids
        self.inherited = inherited


KERNEL = Level("kernel", families=seccomp.LOOPBACK, namespaces=True, pids=True)
KERNEL_SHARED_PIDS = Level("kernel", families=seccomp.LOOPBACK, namespaces=True)
INHERITED = Level("kernel", families=seccomp.LOOPBACK, inherited=True)
NOSOCKET = Level("nosocket", families=seccomp.NO_SOCKET)
PYTHON = Level("python", families=None)

Fault = tuple[str, str, int]
"""The name of a level that could not be had, the step that failed, and its errno."""


def start_highest(required: str, start: Callable[[Level], Seal]) -> tuple[Seal, list[Fault]]:
    """What ``start`` makes at the highest level that it can be had at, and the faults of those above it.

    GuardUnavailable if that is below ``required``; UsageError if there is no such level.
    """
    check_name(required)
    faults: list[Fault] = []
    for level in _candidates(faults):
        if NAMES.index(level.name) < NAMES.index(required):
            break
        try:
            return start(level), faults
        except SealFault as fault:
            faults.append((level.name, fault.step, fault.errno))
            if fault.step in _OF_PROGRAM:
                break
    raise _unavailable(required, faults)


_OF_PROGRAM = {OPENINGS, "mask", "names", "read-only", "folder"}
"""Steps that fail because of what a program is to see, which says nothing of the level."""


def check_name(name: str) -> None:
    """UsageError if there is no level ``name``."""
    if name not in NAMES:
        from codex_core.errors import UsageError

        raise UsageError(f"there is no guard level {name!r}", hint=f"use {', '.join(reversed(NAMES))}")


def start_again(level: Level, start: Callable[[Level], Seal]) -> Seal:
    """What ``start`` makes at ``level``, which was there before; GuardUnavailable if it is not any more."""
    try:
        return start(level)
    except SealFault as fault:
        raise _unavailable(level.name, [(level.name, fault.step, fault.errno)]) from fault


def _candidates(faults: Sequence[Fault]) -> Iterator[Level]:
    """The ways, the highest first; ``faults`` grows with each that could not be had."""
    yield KERNEL
    if faults[0][1] == "proc":  # only the new /proc was refused, as in a container that hides parts of its own
        yield KERNEL_SHARED_PIDS
    if is_isolated():
        yield INHERITED
    yield NOSOCKET
    yield PYTHON


def is_isolated() -> bool:
    """Whether this process already has no network: no interface but loopback and those of no use, and no route.

    One that is down is a network too: it may come up. What cannot be read counts as one.
    """
    try:
        others = set(_interfaces()) - {"lo"}
        return others <= _FALLBACK and not any(map(_is_up, others)) and not _routes()
    except OSError:
        return False


_FALLBACK = frozenset(["erspan0", "gre0", "gretap0", "ip6_vti0", "ip6gre0", "ip6tnl0", "ip_vti0", "sit0", "tunl0"])
"""What the kernel puts into every network namespace where a module for tunnels is loaded."""


def explain(fault: Fault) -> str:
    """What the kernel refused and, where it can be told, the setting that forbids it and what would allow it."""
    _, step, number = fault
    name = errno.errorcode.get(number, str(number))
    reason = next(_reasons(step, number), _STEPS.get(step, ""))
    return f"{step}: {name}" + (f"; {reason}" if reason else "")


_STEPS = {
    "unshare": "the kernel, or what this process runs in, allows no new namespaces",
    "map": "ids cannot be mapped in a new user namespace",
    OPENINGS: "the doors for the rules that name an endpoint cannot be opened inside",
    "loopback": "the loopback interface of a new network namespace cannot be brought up",
    "mask": "a socket of the host cannot be hidden",
    "names": "/etc/hosts, /etc/resolv.conf or /etc/nsswitch.conf cannot be replaced",
    "read-only": "what must not be changed cannot be made read-only",
    "folder": "the folder to run in cannot be entered",
    "mount": "nothing can be mounted in a new mount namespace",
    "proc": "/proc is masked here, so a new pid namespace cannot have its own",
    "seccomp": "the kernel takes no seccomp filter, or knows not this architecture",
    "rights": "the kernel does not let a process give up its rights",
}

_SETTINGS: Mapping[str, tuple[str, str]] = {
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "an AppArmor profile for this Python with userns, or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    "/proc/sys/user/max_net_namespaces": ("0", "sysctl user.max_net_namespaces=10000"),
    "/proc/sys/user/max_mnt_namespaces": ("0", "sysctl user.max_mnt_namespaces=10000"),
    "/proc/sys/user/max_pid_namespaces": ("0", "sysctl user.max_pid_namespaces=10000"),
}
"""Settings that forbid namespaces: the file, the value that does, and what would raise the level."""


def _reasons(step: str, number: int) -> Iterator[str]:
    if step == "seccomp":
        return
    for path, (forbidding, remedy) in _SETTINGS.items():
        if _read(path) == forbidding:
            yield f"{path} is {forbidding}; what would allow it: {remedy}"
    if number == errno.ENOSPC:
        yield "a limit of namespaces is reached; see /proc/sys/user/max_*_namespaces"
    if number == errno.EPERM and _status("Seccomp") not in {"0", ""}:
        yield "a seccomp filter is around this process, as in a container or another seal; start it outside of that"
    if number == errno.EPERM and os.stat("/").st_ino not in {2, 64, 128, 256}:
        yield "this may be a chroot, in which the kernel allows no new user namespaces"
    if number == errno.EINVAL and step == "unshare":
        yield "the process has more than one thread"


_WAYS_ON = {
    "kernel": "--require-guard nosocket runs with no socket but unix ones, loopback neither",
    "nosocket": "--require-guard python runs without the kernel's promise",
    "python": "",
}
"""What asks for less than the level that cannot be had."""


def _unavailable(required: str, faults: Sequence[Fault]) -> GuardUnavailable:
    from codex_core.errors import GuardUnavailable

    told = ", ".join(dict.fromkeys(f"{fault[0]} ({explain(fault)})" for fault in faults))
    return GuardUnavailable(
        f"guard level {required!r} is required and cannot be had here: {told}",
        hint=f"codex doctor tells more; {_WAYS_ON[required]}",
    )


def _interfaces() -> list[str]:
    """The network interfaces of this process's network namespace (proc_net(5)); at nosocket no socket could ask."""
    return [line.partition(":")[0].strip() for line in _lines("/proc/net/dev")[2:]]


def _is_up(interface: str) -> bool:
    flags = _read(f"/sys/class/net/{interface}/flags")
    return not flags or bool(int(flags, 16) & 1)


def _routes() -> list[str]:
    """The routes of IPv4 and IPv6 that do not lead to loopback (proc_net(5)); OSError if they cannot be read."""
    four = [line.split()[0] for line in _lines("/proc/net/route")[1:]]
    has_six = os.path.exists("/proc/net/if_inet6")
    six = [line.split()[-1] for line in _lines("/proc/net/ipv6_route")] if has_six else []
    return [device for device in (*four, *six) if device != "lo"]


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def _status(field: str) -> str:
    lines = (line.partition(":") for line in _read("/proc/self/status").splitlines())
    return next((value.strip() for name, _, value in lines if name == field), "")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
