"""Progress: the step, the loss, the rate and the time that is left, in one line that changes or in lines of a log."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 0.1
"""Seconds between two drawings on a terminal."""
_LOGGED_EVERY = 5.0
"""Seconds between two lines elsewhere, where a pipeline's runner reads the last one."""
_WINDOW = 50
"""The rate is that of this many drawings: some five seconds."""
_COLUMNS = 80
"""The width of a terminal that does not know its own."""
_CLEAR = "\r\x1b[K"


class Progress:
    """Draws on ``stream`` if that is a terminal, and writes a line now and then otherwise; ``clock`` gives seconds."""

    def __init__(self, stream: TextIO, total: int | None, clock: Callable[[], float]) -> None:
        self._redraws = stream.isatty()
        self._every = _EVERY if self._redraws else _LOGGED_EVERY
        self._stream = stream
        self._total = total
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque(maxlen=_WINDOW)

    def show(self, step: int, loss: float | None) -> None:
        """Say it, unless that was done a moment ago; a log gets its first line once there is a rate."""
        now = self._clock()
        if self._seen and now - self._seen[-1][0] < self._every:
            return
        self._seen.append((now, step))
        rate = self._rate()
        line = progress_line(step, self._total, loss, rate)
        if self._redraws:
            columns = os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
            self._draw(line[: columns - 1])
        elif rate is not None:
            print(line, file=self._stream, flush=True)

    def clear(self) -> None:
        """Remove the line from a terminal."""
        if self._seen and self._redraws:
            self._draw("")

    def _rate(self) -> float | None:
        (began, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - began) if last > first and now > began else None

    def _draw(self, text: str) -> None:
        self._stream.write(_CLEAR + text)
        self._stream.flush()


def progress_line(step: int, total: int | None, loss: float | None, rate: float | None) -> str:
    """``step 120/300  loss 2.3100  4.2 steps/s  0:43 left``, without what is not known; ``rate`` is in steps/s."""
    parts = [f"step {step}" + (f"/{total}" if total is not None else "")]
    if loss is not None:
        parts.append(f"loss {loss:.4f}")
    if rate is not None:
        parts.append(f"{rate:.1f} steps/s" if rate >= 1 else f"{1 / rate:.1f} s/step")
        if total is not None:
            parts.append(f"{_duration((total - step) / rate)} left")
    return "  ".join(parts)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
