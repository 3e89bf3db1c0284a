"""The cached command index: one small text file for each Python prefix, in ``$XDG_CACHE_HOME/codex``.

The file names modules to import. So it is read only where nobody but the user who runs this could have written it, and
believed only where it names ``commands`` modules of packages whose names begin as ours do: a program inside a seal may
be able to write it, and every other module would do as it likes. Plug-ins with other names are looked for at each
start. A file that is foreign, stale or damaged is as good as none, and so is a folder that cannot be written to. Its
lines:

    codex-commands 1 1.0.0                       the key: codex's version, Python's version and prefix, and each folder
    '3.11.7 (main, ...)' '/opt/venv'             of sys.path with its time of change in nanoseconds
    1763816400000000000 '/opt/venv/lib/python3.11/site-packages'
    file <TAB> 1763816400000000000 <TAB> /opt/.../command_list.py       a file from which commands were read
    command <TAB> store ls <TAB> List ... <TAB> codex_connectors.commands:app
    1234567890                                   the CRC-32 of all lines above
"""
# ruff: noqa: PTH103, PTH105, PTH108, PTH110, PTH116, PTH118
# because importing pathlib costs more than all that the front door does

from __future__ import annotations

import os
import stat
import sys

from codex_cli.__about__ import __version__
from codex_cli.user_folders import cache_folder

TYPE_CHECKING = False  # importing typing costs as much again; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Rows = list[tuple[str, str, str]]

SETTLED_NS = 2_000_000_000
"""What changed less than this ago may change again without a new time, so what was seen of it is not kept."""

LARGEST = 1 << 20
SEALED_APP = "codex_cli.sealed:main"


def cache_file(environ: Mapping[str, str]) -> str:
    """Where the index of the running Python is kept."""
    return os.path.join(cache_folder(environ), "commands" + sys.prefix.replace("%", "%25").replace("/", "%2F")[-80:])


def read_cache(environ: Mapping[str, str]) -> Rows | None:
    """The commands last kept, as (name, summary, app); None where there is nothing that can be trusted and is fresh."""
    path = cache_file(environ)
    try:
        if fault_of(cache_folder(environ)):
            return None
        return _parse(read_trusted(path))
    except (OSError, ValueError):
        return None


def write_cache(environ: Mapping[str, str], key: str, rows: Rows, files: Iterable[str], *, now_ns: int) -> None:
    """Keep ``rows``, which were read from ``files`` while ``key`` held; without a word where that cannot be done."""
    sources = [("file", str(_changed(path)), path) for path in files]
    if (
        not _settled(key, sources, now_ns)
        or not all(_is_ours(app) for *_, app in rows)
        or any("\n" in part or "\t" in part for row in (*rows, *sources) for part in row)
    ):
        return
    lines = ["\t".join(row) for row in (*sources, *(("command", *row) for row in rows))]
    text = key + "".join(f"{line}\n" for line in lines)
    data = text.encode("utf-8", "surrogateescape")
    try:
        replace_trusted(environ, cache_file(environ), data + b"%d\n" % _checksum(data))
    except OSError:
        return


def cache_key() -> str:
    """What the index depends on: versions, prefix, and the folders in which distributions are looked for."""
    head = f"codex-commands 1 {__version__}\n{sys.version!r} {sys.prefix!r}\n"
    return head + "".join(f"{_changed(folder)} {folder!r}\n" for folder in sys.path)


def fault_of(path: str) -> str:
    """Why the cache folder or one of its files cannot be trusted; empty if it can. OSError where it cannot be seen."""
    found = os.lstat(path)
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        return "it is a link or a special file"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}, and this is user {os.geteuid()}"
    return "other users may write to it" if found.st_mode & 0o022 else ""


def read_trusted(path: str) -> bytes:
    """The bytes of a file in the cache folder, LARGEST at most; ValueError if another user may have made it."""
    if fault_of(path):
        raise ValueError(path)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as stream:
        return stream.read(LARGEST)


def _parse(data: bytes) -> Rows | None:
    body, _, checksum = data.removesuffix(b"\n").rpartition(b"\n")
    text, key = (body + b"\n").decode("utf-8", "surrogateescape"), cache_key()
    if int(checksum) != _checksum(body + b"\n") or not text.startswith(key):
        return None
    rows: Rows = []
    for line in text[len(key) :].split("\n")[:-1]:
        kind, first, *rest = line.split("\t")
        if kind == "command":
            if not _is_ours(rest[1]):
                return None
            rows.append((first, rest[0], rest[1]))
        elif int(first) != _changed(rest[0]):
            return None
    return rows


def _is_ours(app: str) -> bool:
    """Whether ``app`` is written as those of our packages are: the sealed command, or a module that holds commands."""
    module, _, name = app.partition(":")
    package, _, last = module.rpartition(".")
    of_ours = package.startswith("codex_") and package.isidentifier()
    return app == SEALED_APP or (of_ours and name == "app" and last.endswith("commands") and last.isidentifier())


def _checksum(data: bytes) -> int:
    import zlib

    return zlib.crc32(data)


def _changed(path: str) -> int:
    """When ``path`` last changed, in nanoseconds; 0 where there is nothing."""
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


def _settled(key: str, sources: list[tuple[str, str, str]], now_ns: int) -> bool:
    folders = [int(line.partition(" ")[0]) for line in key.split("\n")[2:-1]]
    times = [*folders, *(int(time) for _, time, _ in sources)]
    return all(not 0 <= now_ns - time < SETTLED_NS for time in times)


def replace_trusted(environ: Mapping[str, str], path: str, data: bytes) -> None:
    """Have ``data`` in the file ``path`` of the cache folder, readable by this user alone; OSError if it cannot be.

    Nothing where the folder cannot be trusted, or there is more than would be read.
    """
    os.makedirs(cache_folder(environ), mode=0o700, exist_ok=True)
    if fault_of(cache_folder(environ)) or len(data) > LARGEST:
        return
    new = f"{path}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(new, flags, 0o600), "wb") as stream:
            stream.write(data)
        os.replace(new, path)
    except OSError:
        if os.path.exists(new):
            os.unlink(new)
        raise
