"""The lock of a run: held on a file by the kernel, and gone with its process however that ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.errors import RunLocked

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock at ``path``; RunLocked, naming the holder's pid, if another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunLocked(
                f"another run works in {path.parent.parent} (pid {_pid(descriptor) or 'unknown'})",
                hint="wait for it to end, or end it; nothing needs unlocking afterwards",
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(path: Path) -> int | None:
    """The pid of the process that holds the lock at ``path``; None if nobody does.

    Read from /proc/locks (proc(5)): a look that took the lock itself, however shortly, could refuse a run that starts.
    """
    try:
        found = path.stat()
        locks = Path("/proc/locks").read_text()
    except FileNotFoundError:
        return None
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    words = (line.split() for line in locks.splitlines())
    return next((int(line[4]) for line in words if line[1] == "FLOCK" and line[5] == file), None)


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0)
    return int(text) if text.isdigit() else None
