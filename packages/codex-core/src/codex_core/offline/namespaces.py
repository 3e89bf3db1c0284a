"""The namespaces of a seal: user, network, mount and pid, with the loopback interface up and nothing else."""

from __future__ import annotations

import os

from codex_core.offline import linux

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1


class SealFault(Exception):
    """A seal could not be made: ``step`` is what the kernel refused, ``errno`` how."""

    def __init__(self, step: str, errno: int) -> None:
        super().__init__(step, errno)
        self.step, self.errno = step, errno


class attempt:  # noqa: N801 - written like contextlib.suppress
    """Names the step of a seal that an OSError comes from."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise SealFault(self._step, error.errno or 0) from error


def enter(*, pids: bool, map_ids: Callable[[], None] | None) -> None:
    """Leave the host's namespaces for new ones; SealFault if it is forbidden.

    ``pids``: what this process forks next is the init of a new pid namespace. ``map_ids`` lets an outside process
    write the maps of ids; without it this one maps its own user and group, which is all that it may.
    """
    user, group = os.geteuid(), os.getegid()
    flags = linux.CLONE_NEWUSER | linux.CLONE_NEWNET | linux.CLONE_NEWNS | (linux.CLONE_NEWPID if pids else 0)
    with attempt("unshare"):
        linux.unshare(flags)
    with attempt("map"):
        if map_ids is None:
            _write("/proc/self/setgroups", "deny")
            _write("/proc/self/uid_map", f"{user} {user} 1")
            _write("/proc/self/gid_map", f"{group} {group} 1")
        else:
            map_ids()
    with attempt("loopback"):
        _bring_up("lo")


def map_every_id(pid: int) -> None:
    """Map every id that this process knows to itself in the user namespace of ``pid``: for root, from outside.

    With one id alone, root would lose the files of all other users.
    """
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}", encoding="ascii") as known:
            extents = [line.split() for line in known]
        _write(f"/proc/{pid}/{name}", "".join(f"{inside} {inside} {count}\n" for inside, _, count in extents))


def interfaces() -> list[str]:
    """The network interfaces of this process's network namespace."""
    import _socket  # the C module: socket itself imports enum and selectors

    return [name for _, name in _socket.if_nameindex()]


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _bring_up(interface: str) -> None:
    """Set the flag of netdevice(7) that an interface is up."""
    import _socket
    import fcntl
    import struct

    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        request = struct.pack("16sh14x", interface.encode(), 0)
        flags = struct.unpack_from("16sh", fcntl.ioctl(sock.fileno(), _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock.fileno(), _SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | _IFF_UP))
    finally:
        sock.close()
