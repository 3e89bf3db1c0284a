"""The staging folder of a stage: its inputs copied in and digested, its outputs collected and published.

Inputs are copies (shared blocks where the file system can), so a stage cannot change what it reads, and the digest in
the record is of the very bytes that it saw.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.digest import FileEntry, digest_entries, digest_path, digest_stream, open_regular, walk_files
from codex_core.errors import DigestError, StageFailed
from codex_core.exchange import exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_Mark = tuple[int, int, int] | None
"""Inode, time of the last change, size; None for what is not there."""


@dataclass(frozen=True)
class StagingFolder:
    """A stage's own part of the state folder: ``path``, in which it works, and ``scratch``, for what it throws away.

    Below ``path`` are ``inputs`` and ``outputs`` under their own names. ``place`` is never used twice: a process that
    outlived a killed run goes on writing where nobody looks.
    """

    place: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the stage's process starts."""
        return self.place / "work"

    @property
    def scratch(self) -> Path:
        """What TMPDIR names."""
        return self.place / "scratch"

    def prepare(self, root: Path) -> dict[str, str]:
        """Make the folders, copy the inputs in from ``root``, and return their digests by name."""
        self.path.mkdir(parents=True)
        self.scratch.mkdir()
        digests = {name: _copy(root / name, self.path / name) for name in self.inputs}
        for name in self.outputs:
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        return digests

    def watch(self) -> dict[str, _Mark]:
        """A mark of everything below the inputs, which changes when the file or the folder does."""
        paths = (path for name in self.inputs for path in _everything(self.path / name))
        return {os.fspath(path.relative_to(self.path)): _mark(path) for path in paths}

    def collect(self, watched: Mapping[str, _Mark]) -> dict[str, str]:
        """The digests of the outputs; StageFailed if one is missing, or if anything else was written or changed.

        ``watched`` is what ``watch`` returned before the stage began.
        """
        missing = [name for name in self.outputs if not os.path.lexists(self.path / name)]
        if missing:
            raise StageFailed(f"the stage did not write its output {_listed(missing)}")
        surplus = sorted(self._surplus())
        if surplus:
            raise StageFailed(
                f"the stage wrote {_listed(surplus)}, which is none of its outputs",
                hint="name it in 'outputs', or write it below $TMPDIR",
            )
        changed = sorted(path for path, mark in watched.items() if _mark(self.path / path) != mark)
        if changed:
            raise StageFailed(f"the stage changed its input {_listed(changed)}", hint="write to an output instead")
        try:
            return {name: digest_path(self.path / name) for name in self.outputs}
        except DigestError as error:
            raise StageFailed(f"an output cannot be published: {error.message}") from error

    def publish(self, root: Path) -> None:
        """Put each output in its place below ``root``, by one rename each, exchanging it with what stands there."""
        for name in self.outputs:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            _make_writable(self.path / name)
            exchange(self.path / name, root / name)

    def _surplus(self) -> Iterator[str]:
        """What is neither an input, an output, nor a folder on the way to one."""
        known = {*self.inputs, *self.outputs}
        parents = {parent for name in known for parent in _parents(name)}
        pending = [""]
        while pending:
            below = pending.pop()
            for item in os.scandir(self.path / below):
                name = f"{below}/{item.name}" if below else item.name
                if name in parents and item.is_dir(follow_symlinks=False):
                    pending.append(name)
                elif name not in known:
                    yield name


def discard(place: Path) -> None:
    """Remove a stage's staging folder; what something still writes to is left for a later run to remove."""
    _make_writable(place)
    shutil.rmtree(place, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove what stands at ``path``, a file or a folder, if anything does."""
    if path.is_dir() and not path.is_symlink():
        discard(path)
    else:
        path.unlink(missing_ok=True)


def _make_writable(path: Path) -> None:
    """Let the owner rename and remove what is in ``path``: copies of inputs are read-only folders."""
    for folder in (item for item in _everything(path) if item.is_dir() and not item.is_symlink()):
        with suppress(FileNotFoundError):
            folder.chmod(folder.stat().st_mode | 0o700)


def _everything(path: Path) -> Iterator[Path]:
    """``path`` and all below it, a folder before its content."""
    yield path
    if path.is_dir() and not path.is_symlink():
        for item in list(path.iterdir()):
            yield from _everything(item)


def _mark(path: Path) -> _Mark:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


def _copy(source: Path, target: Path) -> str:
    """Copy a file or a folder, read-only, and return its digest."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        return _copy_file(source, target)[1]
    target.mkdir()
    entries = []
    for path in walk_files(source):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        entries.append(FileEntry(path, *_copy_file(source / path, target / path)))
    for folder, _, _ in os.walk(target):
        Path(folder).chmod(0o555)
    return digest_entries(entries)


def _copy_file(source: Path, target: Path) -> tuple[int, str]:
    with open_regular(source) as original, open(target, "w+b", buffering=0) as copy:
        mode = os.fstat(original.fileno()).st_mode
        _copy_bytes(original.fileno(), copy.fileno())
        os.fchmod(copy.fileno(), 0o444 | mode & 0o111)
        copy.seek(0)
        return os.fstat(copy.fileno()).st_size, digest_stream(copy)


def _copy_bytes(source: int, target: int) -> None:
    """Copy by copy_file_range(2), which shares blocks where it can, or by sendfile(2) where it is refused."""
    try:
        while os.copy_file_range(source, target, 1 << 30):
            continue
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
            raise
        while os.sendfile(target, source, None, 1 << 30):
            continue


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
