"""Events: what a run or a stage reports of itself, the writers it goes to, and the one that writes lines of JSON.

A line of an events file is ``{"at", "kind", "step", "values"}``. JSON has no NaN and no infinities: as values they are
written as the texts ``NaN``, ``Infinity`` and ``-Infinity`` and read back as numbers, so a value is never one of these
texts. A time that is not finite is written as null.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Any, Self

Scalar = float | int | str | bool | None

MOST_WAITING = 256
"""How many events an NdjsonWriter keeps back at most."""

LONGEST_WAIT = 1.0
"""How many seconds may lie between the events that an NdjsonWriter keeps back, by their own times."""

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_is_plain = frozenset({float, int, str, bool, type(None)}).issuperset
_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False).encode


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``step`` counts what the kind counts; ``at`` is in seconds since the epoch."""

    kind: str
    step: int | None
    values: Mapping[str, Scalar]
    at: float | None = None


@runtime_checkable
class Writer(Protocol):
    """A sink for events. ``contract`` is the version of this protocol it was written for."""

    contract: ClassVar[int]

    def write(self, events: Sequence[Event]) -> None:
        """Take ``events``, in their order; they may be kept back for a while."""
        ...

    def close(self) -> None:
        """Put out what was kept back, and take no more."""
        ...


class NdjsonWriter:
    """Appends events to the file at ``path``, whose folder exists; one writer at a time, from any of its threads.

    Events are kept back until there are ``MOST_WAITING`` or ``LONGEST_WAIT`` has passed between the first and the last
    of them; then their lines are appended by one write(2). A process that is killed loses those kept back, and may
    leave a cut line, which the next writer ends, so that only that line is lost to a reader. OSError, from any method,
    if the file cannot be written: what was not written is kept, and goes out with the next flush.
    """

    contract: ClassVar[int] = 1

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._descriptor).st_size
        is_cut = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        self._unwritten = b"\n" if is_cut else b""
        self._waiting: list[dict[str, Any]] = []  # Any: rows for the JSON encoder, by the names of Event's fields
        self._lock = Lock()

    def write(self, events: Sequence[Event]) -> None:
        """Take ``events``; their values are copied now. TypeError, with none taken, for a value that is no scalar."""
        rows = []
        for event in events:
            values = dict(event.values)
            row = {"at": event.at, "kind": event.kind, "step": event.step, "values": values}
            if not _is_plain(map(type, (event.at, event.step, *values.values()))):
                row = _plain_row(row)
            rows.append(row)
        with self._lock:
            if self._descriptor < 0:
                raise ValueError("events were written to a writer that is closed")
            waiting = self._waiting
            waiting += rows
            if len(waiting) >= MOST_WAITING or _is_long(waiting):
                self._flush()

    def flush(self) -> None:
        """Append all that is kept back; a reader sees it from now on, and a kill does not lose it."""
        with self._lock:
            self._flush()

    def close(self) -> None:
        """Flush, and close the file; closing again does nothing."""
        with self._lock:
            if self._descriptor < 0:
                return
            try:
                self._flush()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _flush(self) -> None:
        if self._waiting:
            self._unwritten += _lines(self._waiting)
            self._waiting.clear()
        while self._unwritten:
            written = os.write(self._descriptor, self._unwritten)
            self._unwritten = self._unwritten[written:]


def read_events(
    path: str | os.PathLike[str], *, on_damage: Callable[[int], object] = lambda line: None
) -> Iterator[Event]:
    """The events in the file at ``path``; a line that is none is skipped, and its number, from 1, told ``on_damage``.

    OSError as open(2) says.
    """
    with open(path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            event = _parse(line)
            if event is None:
                on_damage(number)
            else:
                yield event


def _is_long(rows: list[dict[str, Any]]) -> bool:
    """Whether ``LONGEST_WAIT`` has passed between the first and the last of ``rows``, as far as they tell."""
    return bool(rows) and (rows[-1]["at"] or 0.0) - (rows[0]["at"] or 0.0) >= LONGEST_WAIT


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    values = {name: _plain(name, value) for name, value in row["values"].items()}
    return {**row, "at": _plain("at", row["at"]), "step": _plain("step", row["step"]), "values": values}


def _plain(name: str, value: Scalar) -> Scalar:
    """``value`` itself, or what it is where its type is a subclass, such as numpy's float64."""
    for kind in (float, int, str):
        if isinstance(value, kind):
            return value if type(value) is bool else kind(value)
    if value is None:
        return None
    raise TypeError(f"{name!r} of an event is a {type(value).__name__}; give a float, int, str, bool or None")


def _lines(rows: list[dict[str, Any]]) -> bytes:
    """One line for each row.

    They are encoded in one go, which takes two thirds of the time, and parted where one row ends and the next begins:
    no other place has these characters, as a row holds no lists, and in a text the quotation mark is escaped.
    """
    try:
        text = _encode(rows)
    except ValueError:
        text = _encode([_finite_row(row) for row in rows])
    return text[1:-1].replace('}},{"at":', '}}\n{"at":').encode() + b"\n"


def _finite_row(row: dict[str, Any]) -> dict[str, Any]:
    at = None if row["at"] is None or not math.isfinite(row["at"]) else row["at"]
    return {**row, "at": at, "values": {name: _spelled(value) for name, value in row["values"].items()}}


def _spelled(value: Scalar) -> Scalar:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _parse(line: bytes) -> Event | None:
    try:
        row = json.loads(line)
        values = {name: _NOT_FINITE.get(value, value) for name, value in row["values"].items()}
        event = Event(row["kind"], row["step"], values, row["at"])
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    return event if _is_typed(event) else None


def _is_typed(event: Event) -> bool:
    return (
        type(event.kind) is str and type(event.step) in {int, type(None)} and type(event.at) in {float, int, type(None)}
    )
