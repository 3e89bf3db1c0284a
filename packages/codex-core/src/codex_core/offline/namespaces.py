"""The namespaces of a seal: user, network, mount, IPC and pid, with the loopback interface up and nothing else."""

from __future__ import annotations

import os
import sys

from codex_core.offline import linux

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable

_RTM_NEWLINK, _RTM_NEWADDR, _NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE, _IFF_UP = 16, 20, 1, 4, 0x400, 1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 2
_LOOPBACK = 1
"""The number of the loopback interface, which is the first of every network namespace."""


OPENINGS = "openings"
"""The step that makes what a seal has of its broker: what fails there says nothing of the level."""


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
    flags = linux.CLONE_NEWUSER | linux.CLONE_NEWNET | linux.CLONE_NEWNS | linux.CLONE_NEWIPC
    flags |= linux.CLONE_NEWPID if pids else 0
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


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def add_address(address: str) -> None:
    """Let loopback have ``address`` too, of IPv4 or IPv6: rtnetlink(7)."""
    import _socket

    six = ":" in address
    family, data = (_socket.AF_INET6, 16) if six else (_socket.AF_INET, 4)
    packed = _socket.inet_pton(family, address)
    # struct ifaddrmsg and its attributes; an address that is only this machine's needs no search for a duplicate
    wish = bytes((family, 8 * data, _IFA_F_NODAD if six else 0, 0)) + _word(_LOOPBACK)
    for kind in (_IFA_LOCAL, _IFA_ADDRESS):
        wish += _word(4 + data, 2) + _word(kind, 2) + packed
    _ask_kernel(_RTM_NEWADDR, _NLM_F_CREATE, wish)


def _bring_up(interface: int) -> None:
    """Set the flag of rtnetlink(7) that an interface is up. An ioctl would do it too, but for the import of fcntl."""
    wish = bytes(4) + _word(interface) + _word(_IFF_UP) + _word(_IFF_UP)  # struct ifinfomsg: which, its flags, which
    _ask_kernel(_RTM_NEWLINK, 0, wish)


def _ask_kernel(kind: int, flags: int, wish: bytes) -> None:
    """Send one request of rtnetlink(7), and raise what it is answered with."""
    import _socket

    length = 16 + len(wish)
    head = _word(length) + _word(kind, 2) + _word(_NLM_F_REQUEST | _NLM_F_ACK | flags, 2) + bytes(8)  # struct nlmsghdr
    sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, _socket.NETLINK_ROUTE)
    try:
        sock.send(head + wish)
        answer = sock.recv(4096)
    finally:
        sock.close()
    if number := -int.from_bytes(answer[16:20], sys.byteorder, signed=True):  # struct nlmsgerr
        raise OSError(number, os.strerror(number))


def _word(number: int, size: int = 4) -> bytes:
    return number.to_bytes(size, sys.byteorder)
