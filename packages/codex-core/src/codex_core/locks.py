"""Locks: held on a file by the kernel, and gone with their process however that ends."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.errors import RunLocked

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class Lock:
    """Held on the file ``path`` (flock(2)) from construction to ``close``, or as a context.

    RunLocked, naming the holder's pid, if another process has it, or another Lock of this one; ``where`` is what it is
    for, as a person knows it. ``pid`` is what others are told, where they do not see this process under its own. A
    child that Python forks does not hold it: it would outlive a killed parent.
    """

    def __init__(self, path: Path, *, where: Path, pid: int | None = None) -> None:
        self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - the lock is held as long as it is open
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            told = os.pread(self._file.fileno(), 32, 0).decode(errors="replace")
            self.close()
            raise RunLocked(
                f"another process works in {where} (pid {told if told.isdigit() else 'unknown'})",
                hint="wait for it to end, or end it; nothing needs unlocking afterwards",
            ) from None
        self._file.truncate(0)
        try:
            self._file.write(str(pid or os.getpid()).encode())
        except OSError as error:
            self.close()
            error.filename = str(path)
            raise
        _held.add(self)

    def close(self) -> None:
        """Let others have it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def holder(path: Path) -> int | None:
    """The pid that the process which holds the lock at ``path`` tells others; None if nobody does.

    Whether it is held is read from /proc/locks (proc(5)): a look that took the lock itself, however shortly, could
    refuse a run that starts.
    """
    try:
        found = path.stat()
        locks = Path("/proc/locks").read_text()
    except FileNotFoundError:
        return None
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    words = (line.split() for line in locks.splitlines())
    if not any(line[1] == "FLOCK" and line[5] == file for line in words):
        return None
    told = path.read_text()
    return int(told) if told.isdigit() else None


_held: weakref.WeakSet[Lock] = weakref.WeakSet()  # of this process: a forked child lets go of them


def _let_go() -> None:
    for lock in list(_held):
        lock.close()
    _held.clear()


os.register_at_fork(after_in_child=_let_go)
