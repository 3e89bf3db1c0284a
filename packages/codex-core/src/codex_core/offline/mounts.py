"""What a sealed program sees of the file system: no socket of the host, its own names, and what it may not write.

Everything here runs in a mount namespace of its own. Nothing in it can be undone from inside: the capability for that
is given up, and the calls are refused.
"""

from __future__ import annotations

import errno
import os
import stat

from codex_core.offline import linux
from codex_core.offline.names import RESOLVER
from codex_core.offline.namespaces import attempt

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SOCKET_FOLDERS = ("/run", "/var/run", "/tmp/.X11-unix", "/tmp/.ICE-unix", "/dev/infiniband")
_SOCKET_PREFIXES = ("ssh-", "dbus-", "tmux-")
"""What the folders are called that such programs make in /tmp, for sockets that may be bound later."""
_SOCKET_FOLDERS_AT_HOME = (".gnupg", ".docker/run", ".docker/desktop", ".colima")
_KEPT = ("/run/media", "/run/current-system", "/run/booted-system", "/run/opengl-driver", "/run/opengl-driver-32")
"""Folders of files below /run: removable disks, and where NixOS keeps all programs."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "shm", "pts", "dri", "kfd", "accel")
_DEVICE_PREFIXES = ("nvidia", "dxg")
_DEVICE_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_TERMINALS = "/dev/pts"
_OF_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""What of /proc root could change the host with."""
_CONTROL_GROUPS = "/sys/fs/cgroup"
"""Where programs look up how much memory and how many processors they have."""
_PLACE = "/run/codex"
TEMPORARY = f"{_PLACE}/tmp"
"""Where a view's temporary folder is found as well: unix sockets, as multiprocessing has them, need a short path."""
_ADDRESS_WIDTHS = (9, 17)
"""Characters that a row of /proc/net/unix begins with: the address of the socket in memory, and a colon."""
_LOOPBACK_NAMES = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
_UNREACHABLE = {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.ENODEV}
"""What the program cannot reach by this path either: it is not there, or its file system is not."""


class View:
    """What of the file system a program needs to see, and which of it it may not write.

    ``kept`` stays visible wherever it lies. ``read_only`` cannot be written to, but for what of it is ``writable``.
    No folder above it can be renamed either, but for the folders above what is ``movable``. ``temporary`` is the folder
    that is found at ``TEMPORARY`` as well. Paths are absolute.
    """

    __slots__ = ("kept", "movable", "read_only", "temporary", "writable")

    def __init__(
        self,
        *,
        kept: Sequence[str] = (),
        read_only: Sequence[str] = (),
        movable: Sequence[str] = (),
        writable: Sequence[str] = (),
        temporary: str | None = None,
    ) -> None:
        self.kept, self.read_only, self.writable = tuple(kept), tuple(read_only), tuple(writable)
        self.movable, self.temporary = tuple(movable), temporary


def host_sockets() -> list[str]:
    """The path of every bound unix socket of this network namespace (proc_net(5)), where it is an absolute one."""
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape", newline="\n") as table:
        rows: list[list[str]] = []
        for line in table.read().removesuffix("\n").split("\n"):
            words = line.split(" ", 1)
            if words[0].endswith(":") and len(words[0]) in _ADDRESS_WIDTHS:
                rows.append(line.split(maxsplit=7))
            elif rows and len(rows[-1]) == 8:  # the rest of a name that holds a newline
                rows[-1][7] += f"\n{line}"
    return sorted({row[7] for row in rows if len(row) == 8 and row[7].startswith("/")})


def rearrange(view: View, sockets: Iterable[str], *, home: str, names: Mapping[str, str]) -> None:
    """Hide the host's sockets and devices, and make read-only what is; SealFault if the kernel refuses a mount.

    ``names`` are known inside by the addresses that they have there.
    """
    with attempt("mount"):
        linux.mount("none", "/", flags=linux.MS_REC | linux.MS_SLAVE)
        kept = dict(_open_each([*_KEPT, *view.kept, *view.read_only]))
        for folder in _socket_folders(home):
            _cover(folder, {path: kept.pop(path) for path in sorted(kept) if path.startswith(f"{folder}/")})
        for descriptor in kept.values():
            os.close(descriptor)
        _reduce_devices()
        _replace_sys()
    with attempt("mask"):
        for path in sockets:
            _mask(path)
    with attempt("read-only"):
        temporary = None if view.temporary is None else _open_inside(view.temporary, view.read_only)
    with attempt("names"):
        if _is_folder("/run"):
            os.mkdir(_PLACE, 0o755)
            _replace_names(names)
            if temporary is not None:
                os.mkdir(TEMPORARY)
                _bind(temporary, TEMPORARY)
    with attempt("read-only"):
        _protect(view)


def mount_proc() -> None:
    """A /proc that shows the processes of this pid namespace alone."""
    with attempt("proc"):
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)


def protect_proc() -> None:
    """Take from root what would change the host: core_pattern among others names a program that runs outside."""
    with attempt("proc"):
        for name in _OF_PROC if os.geteuid() == 0 else ():
            if os.path.exists(f"/proc/{name}"):
                _bind_read_only(f"/proc/{name}")


def _socket_folders(home: str) -> list[str]:
    found = list(_SOCKET_FOLDERS)
    with os.scandir("/tmp") as items:
        found += [item.path for item in items if item.name.startswith(_SOCKET_PREFIXES)]
    found += [f"{home}/{name}" for name in _SOCKET_FOLDERS_AT_HOME if home]
    return [folder for folder in found if _is_folder(folder)]


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _open_each(paths: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Where each of ``paths`` lies, with links resolved, and a descriptor of it, but for what is not there."""
    for path in dict.fromkeys(paths):
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _UNREACHABLE:
                raise
        else:
            yield os.readlink(f"/proc/self/fd/{descriptor}"), descriptor


def _cover(folder: str, kept: Mapping[str, int]) -> None:
    """An empty folder of its own over ``folder``, with ``kept``, which are paths in it and their descriptors."""
    mode = stat.S_IMODE(os.lstat(folder).st_mode)
    linux.mount("codex", folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, f"mode={mode:o}")
    for path, descriptor in kept.items():
        _bind(descriptor, path)


def _bind(descriptor: int, target: str) -> None:
    """Mount what ``descriptor`` names at ``target``, which is made if it is not there."""
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
    linux.mount(f"/proc/self/fd/{descriptor}", target, flags=linux.MS_BIND | linux.MS_REC)
    os.close(descriptor)


def _reduce_devices() -> None:
    """A /dev without disks and memory, which root may open. Terminals, shared memory and accelerators stay."""
    names = [name for name in os.listdir("/dev") if name in _DEVICES or name.startswith(_DEVICE_PREFIXES)]
    held = {name: os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW) for name in names}
    links = {name: os.readlink(f"/dev/{name}") for name in names if os.path.islink(f"/dev/{name}")}
    linux.mount("codex", "/dev", "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=0755")
    for name, descriptor in held.items():
        if name in links:
            os.symlink(links[name], f"/dev/{name}")
            os.close(descriptor)
        else:
            _bind(descriptor, f"/dev/{name}")
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, f"/dev/{name}")
    _allow_terminals()


def _replace_sys() -> None:
    """A read-only /sys that shows the network of this namespace, and the host's control groups.

    Where the kernel gives none, as in a container that hides parts of its own, it is the one that was there.
    """
    groups = os.open(_CONTROL_GROUPS, os.O_PATH | os.O_CLOEXEC) if os.path.isdir(_CONTROL_GROUPS) else -1
    try:
        linux.mount("sysfs", "/sys", "sysfs", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_RDONLY)
    except OSError:
        if groups >= 0:
            os.close(groups)
    else:
        if groups >= 0:
            _bind(groups, _CONTROL_GROUPS)
    linux.make_read_only("/sys")


def _allow_terminals() -> None:
    """Let terminals be made. Where the host's may not be, they are the seal's own, and its program's has no name there.

    A /dev/ptmx that is mounted by itself finds no /dev/pts beside it (devpts in the kernel), so it is a link.
    """
    if os.access(f"{_TERMINALS}/ptmx", os.R_OK | os.W_OK):
        return
    os.makedirs(_TERMINALS, exist_ok=True)
    try:
        linux.mount("devpts", _TERMINALS, "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "ptmxmode=0666,mode=0620")
    except OSError:
        return  # none can be made here


def _mask(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            linux.mount("/dev/null", path, flags=linux.MS_BIND)
    except OSError as error:
        if error.errno not in _UNREACHABLE:
            raise


def _replace_names(names: Mapping[str, str]) -> None:
    """Names that need no network: this machine's own and ``names``, and no look-up anywhere but in this seal."""
    _replace("/etc/resolv.conf", RESOLVER)
    others = "".join(f"{address} {name}\n" for name, address in names.items())
    _replace("/etc/hosts", f"{_LOOPBACK_NAMES}127.0.0.1 {os.uname().nodename}\n{others}")
    try:
        with open("/etc/nsswitch.conf", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line for line in file if line.partition(":")[0].strip() != "hosts"]
    except FileNotFoundError:
        return  # nothing to bind over
    _replace("/etc/nsswitch.conf", "".join([*lines, "\nhosts: files dns\n"]))


def _replace(path: str, text: str) -> None:
    """Have ``text`` found at ``path``, if something was there, a link to what was in /run included."""
    source = f"{_PLACE}/{os.path.basename(path)}"
    if os.path.isfile(path):
        _write(source, text)
        linux.mount(source, path, flags=linux.MS_BIND)
    elif os.path.islink(path) and (target := os.path.realpath(path)).startswith("/run/"):
        if target.startswith(_KEPT):
            return  # that is the host's own
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _write(target, text)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _protect(view: View) -> None:
    """Make what is read-only so, with each folder above it a mount, which nobody can rename away from it."""
    held = {path: _open_inside(path, view.read_only) for path in view.writable}
    protected = [path for path in view.read_only if os.path.lexists(path)]
    for folder in sorted({above for path in protected for above in _above(os.path.realpath(path))}):
        if not os.path.ismount(folder):
            linux.mount(folder, folder, flags=linux.MS_BIND | linux.MS_REC)
    for path in [*protected, *view.movable]:
        _bind_read_only(path)
    for path, descriptor in held.items():
        _bind(descriptor, path)


def _open_inside(path: str, folders: Iterable[str]) -> int:
    """A descriptor of what lies at ``path`` itself in one of ``folders``: by a link it could be all of that folder."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    found = os.readlink(f"/proc/self/fd/{descriptor}")
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    for folder in folders:
        if path.startswith(f"{folder}/") and found != os.path.realpath(folder) + path[len(folder) :]:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    return descriptor


def _above(path: str) -> Iterator[str]:
    """The folders above ``path`` that can be renamed by who may write to the folders above them."""
    while (path := os.path.dirname(path)) != "/":
        if os.access(os.path.dirname(path), os.W_OK):
            yield path


def _bind_read_only(path: str) -> None:
    linux.mount(path, path, flags=linux.MS_BIND | linux.MS_REC)
    linux.make_read_only(path)
