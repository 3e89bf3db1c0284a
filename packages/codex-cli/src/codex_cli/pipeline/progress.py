"""Progress of a run on a terminal: one line that changes while stages run. Elsewhere nothing is shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_cli.pipeline.reports import StageReport
    from codex_cli.pipeline.stage_run import StageRun

_CLEAR = "\r\x1b[K"


class Progress:
    """Shows a run on ``stream`` if that is a terminal: what runs now, for how long, and what it printed last."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()
        self._ended = 0

    def running(self, stages: Sequence[StageRun]) -> None:
        """Redraw the line."""
        if self._shown and stages:
            parts = [f"{run.stage.name} {run.seconds:.0f} s" for run in stages]
            text = f"  {self._ended} done, running {' | '.join(parts)}  {stages[0].last_line()}"
            columns = os.get_terminal_size(self._stream.fileno()).columns
            self._draw("".join(char for char in text if char.isprintable())[: columns - 1])

    def ended(self, stage: StageReport) -> None:
        """Count it; the summary tells how it ended."""
        self._ended += 1

    def close(self) -> None:
        """Remove the line that changes."""
        if self._shown:
            self._draw("")

    def _draw(self, text: str) -> None:
        self._stream.write(_CLEAR + text)
        self._stream.flush()
