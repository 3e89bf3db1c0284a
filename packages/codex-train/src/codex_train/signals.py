"""Signals: SIGINT and SIGTERM as a wish to end at the next batch, and the exception that ends a run for one."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKING = (signal.SIGINT, signal.SIGTERM)


class RunInterrupted(SystemExit):
    """A signal asked the run to end, and it has: its state after ``step`` is in a checkpoint.

    Uncaught, it ends the process with 128 + ``signal``: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, number: int, step: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number)
        self.step = step

    def __str__(self) -> str:
        return f"{self.signal.name} ended the run after step {self.step}, which is saved"


class Asked:
    """Which signal asked the run to end; None while none has."""

    signal: int | None = None


@contextmanager
def listening() -> Iterator[Asked]:
    """Note the first signal of ASKING instead of dying of it; a second one ends the process at once.

    What handled them before does so again afterwards. A signal that was ignored stays ignored, as ``nohup`` wants, and
    outside the main thread, where Python sets no handlers, nothing is changed.
    """
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, _frame: object) -> None:
        asked.signal = number
        for one in before:
            signal.signal(one, signal.SIG_DFL)

    found = {number: signal.getsignal(number) for number in ASKING}
    before = {number: handler for number, handler in found.items() if handler not in {signal.SIG_IGN, None}}
    for number in before:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
