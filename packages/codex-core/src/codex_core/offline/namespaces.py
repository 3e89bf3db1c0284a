"""The namespaces of a seal: user, network, mount and pid, with the loopback interface up and nothing else."""

from __future__ import annotations

import os
import sys

from codex_core.offline import linux

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable

_RTM_NEWLINK, _NLM_F_REQUEST, _NLM_F_ACK, _IFF_UP = 16, 1, 4, 1
_LOOPBACK = 1
"""The number of the loopback interface, which is the first of every network namespace."""


class SealFault(Exception):
    """A seal could not be made: ``step`` is what the kernel refused, ``errno`` how."""

    def __init__(self, step: str, errno: int) -> None:
        super().__init__(step, errno)
        self.step, self.errno = step, errno


class attempt:  # noqa: N801 - written like contextlib.suppress
    """Names the step of a seal that an OSError comes from."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> attempt:
        """Itself."""
        return self

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
            _write("/proc/self/setgroups", b"deny")
            _write("/proc/self/uid_map", b"%d %d 1" % (user, user))
            _write("/proc/self/gid_map", b"%d %d 1" % (group, group))
        else:
            map_ids()
    with attempt("loopback"):
        _bring_up(_LOOPBACK)


def map_every_id(pid: int) -> None:
    """Map every id that this process knows to itself in the user namespace of ``pid``: for root, from outside.

    With one id alone, root would lose the files of all other users.
    """
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}", "rb") as known:
            extents = [line.split() for line in known]
        _write(f"/proc/{pid}/{name}", b"".join(b"%b %b %b\n" % (inside, inside, count) for inside, _, count in extents))


def interfaces() -> list[str]:
    """The network interfaces of this process's network namespace."""
    import _socket  # the C module: socket itself imports enum and selectors

    return [name for _, name in _socket.if_nameindex()]


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def _bring_up(interface: int) -> None:
    """Set the flag of rtnetlink(7) that an interface is up. An ioctl would do it too, but for the import of fcntl."""
    import _socket

    def word(number: int, size: int = 4) -> bytes:
        return number.to_bytes(size, sys.byteorder)

    head = word(32) + word(_RTM_NEWLINK, 2) + word(_NLM_F_REQUEST | _NLM_F_ACK, 2) + bytes(8)  # struct nlmsghdr
    wish = (
        bytes(4) + word(interface) + word(_IFF_UP) + word(_IFF_UP)
    )  # struct ifinfomsg: which, its flags, which of them
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _socket.NETLINK_ROUTE)
    try:
        sock.send(head + wish)
        answer = sock.recv(4096)
    finally:
        sock.close()
    if number := -int.from_bytes(answer[16:20], sys.byteorder, signed=True):  # struct nlmsgerr
        raise OSError(number, os.strerror(number))
