"""The journal of a run: events.ndjson, where every logged step stands once, and the progress line on a terminal.

An event of the kind ``step`` is what ``run.log`` was given. Every other kind tells of the run itself: start, resume,
inexact, damage, interrupt, finish, fail.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from codex_core.events import Event, NdjsonWriter
from codex_train.durable import sync
from codex_train.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from codex_core.events import Scalar

STEP = "step"


class Journal:
    """Writes the events file at ``path``, beginning with the bytes that a checkpoint knows, and draws on ``stream``.

    ``kept`` is how many bytes those are. Steps logged beyond them will be taken, and logged, again.
    """

    def __init__(self, path: Path, *, kept: int, total: int, stream: TextIO, clock: Callable[[], float]) -> None:
        cut_back(path, kept)
        self._path = path
        self._writer = NdjsonWriter(path)
        self._clock = clock
        self._progress = Progress(stream, total, clock)

    def log(self, step: int, values: Mapping[str, Scalar], *, at_once: bool = False) -> None:
        """Note what the user's code says of a step; unless ``at_once``, it may be kept back for a moment."""
        self._writer.write((Event(STEP, step, values, self._clock()),))
        if at_once:
            self._writer.flush()
        else:
            loss = values.get("loss")
            self._progress.show(step, loss if isinstance(loss, float) else None)

    def tell(self, kind: str, step: int, values: Mapping[str, Scalar]) -> None:
        """Note what happened to the run, at once, and take the progress line away."""
        self._progress.clear()
        self._writer.write((Event(kind, step, values, self._clock()),))
        self._writer.flush()

    def durable_size(self) -> int:
        """How many bytes the file holds; from now on a crash of the machine does not take them."""
        self._writer.flush()
        sync(self._path)
        return self._path.stat().st_size

    def close(self) -> None:
        """Write what was kept back, and take no more."""
        self._progress.clear()
        self._writer.close()


def cut_back(path: Path, size: int) -> None:
    """Take out of the file every logged step beyond ``size`` bytes, and a line that a kill has cut."""
    if not path.exists():
        return
    with open(path, "r+b") as stream:
        stream.seek(size)
        lines = stream.read().splitlines(keepends=True)
        kept = b"".join(line for line in lines if line.endswith(b"\n") and _kind(line) not in {STEP, None})
        if lines:
            stream.seek(size)
            stream.write(kept)
            stream.truncate()


def last_values(path: Path) -> dict[str, object]:
    """What the last logged step says, with its number as ``step``; nothing if there is none. Reads the end only."""
    if not path.exists():
        return {}
    with open(path, "rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - 2**16))
        lines = stream.read().splitlines()
    found = next((line for line in reversed(lines) if _kind(line) == STEP), None)
    if found is None:
        return {}
    row = json.loads(found)
    return {"step": row["step"], **row["values"]}


def _kind(line: bytes) -> str | None:
    try:
        return str(json.loads(line)["kind"])
    except (ValueError, LookupError, TypeError):
        return None
