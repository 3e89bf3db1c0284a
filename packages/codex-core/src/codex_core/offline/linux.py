"""System calls that Python does not offer, from ctypes: each raises OSError as those of ``os`` do.

The numbers that the kernel gives a call are the same on every architecture for the calls that came after 2019, which is
all that are made by number here.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1 << 5, 1 << 12, 1 << 14, 1 << 19

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1
_MOUNT_SETATTR, _CLOSE_RANGE = 442, 436
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_VERSION = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _checked(result: int, what: str | None = None) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = (os.fsencode(word) for word in (source, target, kind))
    done = _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(data) or None)
    _checked(done, target)


def make_read_only(target: str) -> None:
    """Make the mount at ``target``, and all below it, read-only: mount_setattr(2), from Linux 5.12."""
    attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    path = os.fsencode(target)
    _checked(_libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, attributes, size), target)


def prctl(option: int, value: int = 0) -> int:
    """prctl(2) with one argument."""
    zero = ctypes.c_ulong(0)
    return _checked(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))


def keep_capabilities(kept: Iterable[int]) -> None:
    """Give up every capability but ``kept``, for ever: the bounding set, the ambient set and the process's own."""
    mask = sum(1 << number for number in kept)
    for number in range(64):
        if not mask >> number & 1:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError:  # EINVAL beyond the last that the kernel knows; EPERM if this process has none to drop
                break
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _set_capabilities(mask & _permitted())


def scope_signals() -> bool:
    """Let this process signal only itself and what it starts: landlock(7), from Linux 6.12; False where it cannot."""
    if _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_LANDLOCK_VERSION)) < 6:
        return False
    attributes = (ctypes.c_uint64 * 3)(0, 0, 2)  # no file, no port, LANDLOCK_SCOPE_SIGNAL
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    rules = _checked(_libc.syscall(_LANDLOCK_CREATE, attributes, size, ctypes.c_uint32(0)))
    try:
        _checked(_libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0)))
    finally:
        os.close(rules)
    return True


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor but ``kept``: close_range(2), from Linux 5.9."""
    first = 0
    for number in [*sorted(set(kept)), 0xFFFFFFFF]:
        if number > first:
            last = number if number == 0xFFFFFFFF else number - 1
            _checked(_libc.syscall(_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(0)))
        first = number + 1


def execute(words: Sequence[str]) -> int:
    """execvp(3) with the environment that ``os.environ`` has; returns the errno, if it returns."""
    arguments = (ctypes.c_char_p * (len(words) + 1))(*map(os.fsencode, words), None)
    _libc.execvp(arguments[0], arguments)
    return ctypes.get_errno()


def _permitted() -> int:
    header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    _checked(_libc.capget(header, data))
    return int(data[1]) | int(data[4]) << 32


def _set_capabilities(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)))
