"""The progress line: what is known, drawn again and again on a terminal, and now and then in a log."""

from __future__ import annotations

import io
import os
import pty
import select

import pytest

from codex_train.progress import Progress, progress_line


@pytest.mark.parametrize(
    ("step", "total", "loss", "rate", "line"),
    [
        (1, None, None, None, "step 1"),
        (1, 300, None, None, "step 1/300"),
        (120, 300, 2.31, 4.2, "step 120/300  loss 2.3100  4.2 steps/s  0:43 left"),
        (120, 300, 2.31, 0.25, "step 120/300  loss 2.3100  4.0 s/step  12:00 left"),
        (0, 36000, None, 1.0, "step 0/36000  1.0 steps/s  10:00:00 left"),
        (5, None, 0.5, 2.0, "step 5  loss 0.5000  2.0 steps/s"),
    ],
)
def test_the_line_says_what_is_known(
    step: int, total: int | None, loss: float | None, rate: float | None, line: str
) -> None:
    assert progress_line(step, total, loss, rate) == line


def test_a_log_gets_a_line_every_five_seconds_and_a_short_run_none() -> None:
    stream, now = io.StringIO(), [0.0]
    progress = Progress(stream, 100, lambda: now[0])
    for step in range(1, 25):
        progress.show(step, 0.5)
        now[0] += 0.5
    progress.clear()
    assert stream.getvalue() == (
        "step 11/100  loss 0.5000  2.0 steps/s  0:44 left\nstep 21/100  loss 0.5000  2.0 steps/s  0:40 left\n"
    )
    short = io.StringIO()
    Progress(short, 10, lambda: 0.0).show(1, 0.5)
    assert short.getvalue() == ""


def read_until(terminal: int, end: bytes) -> str:
    """What comes out of ``terminal`` until ``end``, for five seconds at most."""
    seen = b""
    while not seen.endswith(end) and select.select([terminal], [], [], 5)[0]:
        seen += os.read(terminal, 4096)
    return seen.decode()


def test_a_terminal_is_redrawn_ten_times_a_second_at_most_and_cleared() -> None:
    master, slave = pty.openpty()
    times = iter([0.0, 0.05, 1.0])
    with os.fdopen(slave, "w") as terminal:
        progress = Progress(terminal, 100, lambda: next(times))
        for step in (1, 2, 11):
            progress.show(step, 0.5)
        progress.clear()
        drawn = read_until(master, b"left\r\x1b[K")
    os.close(master)
    assert drawn == "".join(
        f"\r\x1b[K{text}"
        for text in ("step 1/100  loss 0.5000", "step 11/100  loss 0.5000  10.0 steps/s  0:09 left", "")
    )
