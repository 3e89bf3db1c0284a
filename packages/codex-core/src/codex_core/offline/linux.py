"""System calls that Python does not offer: each raises OSError as those of ``os`` do.

They are called through ``_ctypes``, the C half of ctypes. The other half makes sixty types that are not used here, and
its import costs a sealed command's start a quarter of a bare Python.

The numbers that the kernel gives a call are the same on every architecture for the calls that came after 2019, which is
all that are made by number here.
"""

from __future__ import annotations

import os
import sys
from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_USE_ERRNO,
    RTLD_LOCAL,
    CFuncPtr,
    _SimpleCData,
    addressof,
    dlopen,
    dlsym,
    get_errno,
)

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
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

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_SECCOMP_SET_MODE_FILTER, _SECCOMP_EVERY_THREAD = 1, 1  # the second is SECCOMP_FILTER_FLAG_TSYNC


class _Int(_SimpleCData):  # type: ignore[type-arg]  # at run time it takes none
    _type_ = "i"


class _Long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _UnsignedInt(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "I"


class _UnsignedLong(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "L"


class _Byte(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Text(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class _Function(CFuncPtr):
    """A function of the C library; an int is passed as a C int, bytes as a pointer, None as a null pointer."""

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = _Int


_library = dlopen(None, RTLD_LOCAL)  # type: ignore[arg-type]  # None is the program itself, with its C library
_capget, _capset, _execvp, _mount, _prctl, _syscall, _unshare = (
    _Function(dlsym(_library, name)) for name in ("capget", "capset", "execvp", "mount", "prctl", "syscall", "unshare")
)
_syscall.restype = _Long


def _words(*numbers: int, size: int) -> bytes:
    return b"".join(number.to_bytes(size, sys.byteorder) for number in numbers)


def _checked(result: int, what: str | None = None) -> int:
    if result == -1:
        number = get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def call(number: int, *arguments: int | bytes | None) -> int:
    """The system call ``number``: an int is passed as a C long, bytes as a pointer, None as a null pointer."""
    words = (_Long(one) if isinstance(one, int) else one for one in arguments)
    return _checked(_syscall(_Long(number), *words))


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(_unshare(flags))


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    words = (os.fsencode(word) for word in (source, target, kind))
    _checked(_mount(*words, _UnsignedLong(flags), os.fsencode(data) or None), target)


def make_read_only(target: str) -> None:
    """Make the mount at ``target``, and all below it, read-only: mount_setattr(2), from Linux 5.12."""
    attributes = _words(_MOUNT_ATTR_RDONLY, 0, 0, 0, size=8)  # struct mount_attr
    size = _UnsignedLong(len(attributes))
    _checked(_syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), _AT_RECURSIVE, attributes, size), target)


def prctl(option: int, value: int = 0) -> int:
    """prctl(2) with one argument."""
    zero = _UnsignedLong(0)
    return _checked(_prctl(option, _UnsignedLong(value), zero, zero, zero))


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
    if _syscall(_LANDLOCK_CREATE, None, _UnsignedLong(0), _LANDLOCK_VERSION) < 6:
        return False
    attributes = _words(0, 0, 2, size=8)  # struct landlock_ruleset_attr: no file, no port, LANDLOCK_SCOPE_SIGNAL
    rules = _checked(_syscall(_LANDLOCK_CREATE, attributes, _UnsignedLong(len(attributes)), 0))
    try:
        _checked(_syscall(_LANDLOCK_RESTRICT, rules, 0))
    finally:
        os.close(rules)
    return True


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor but ``kept``: close_range(2), from Linux 5.9."""
    first = 0
    for number in [*sorted(set(kept)), 0xFFFFFFFF]:
        if number > first:
            last = number if number == 0xFFFFFFFF else number - 1
            _checked(_syscall(_CLOSE_RANGE, _UnsignedInt(first), _UnsignedInt(last), 0))
        first = number + 1


def look_up_hosts_by(services: Sequence[str]) -> None:
    """Have this process look up hosts by ``services`` of nsswitch.conf(5), whatever that file says.

    Nothing where the C library knows no such services.
    """
    try:
        configure = _Function(dlsym(_library, "__nss_configure_lookup"))
    except OSError:
        return
    configure(b"hosts", " ".join(services).encode())


def filter_system_calls(code: bytes, seccomp: int) -> int:
    """Have the kernel judge the system calls of every thread by ``code``, an array of struct sock_filter: seccomp(2).

    ``seccomp`` is the number of that call on this machine. Returns 0, or the thread that has a filter which this one
    does not have, and then nothing has changed.
    """
    held = (_Byte * len(code)).from_buffer_copy(code)
    filtered = _words(len(code) // 8, addressof(held), size=8)  # struct sock_fprog, little-endian
    done = _syscall(seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_EVERY_THREAD, filtered)
    if done == -1 and len(os.listdir("/proc/self/task")) == 1:
        # seccomp(2) may be forbidden where prctl(2) is not, but that reaches the calling thread alone
        done = _prctl(_PR_SET_SECCOMP, _UnsignedLong(_SECCOMP_MODE_FILTER), filtered)
    return _checked(done)


def execute(words: Sequence[str]) -> int:
    """execvp(3) with the environment that ``os.environ`` has; returns the errno, if it returns."""
    arguments = (_Text * (len(words) + 1))(*map(os.fsencode, words), None)
    _execvp(arguments[0], arguments)
    return get_errno()


def _permitted() -> int:
    header, data = _words(_CAPABILITY_VERSION_3, 0, size=4), (_UnsignedInt * 6)()
    _checked(_capget(header, data))
    return int(data[1]) | int(data[4]) << 32


def _set_capabilities(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header, data = _words(_CAPABILITY_VERSION_3, 0, size=4), _words(low, low, 0, high, high, 0, size=4)
    _checked(_capset(header, data))
