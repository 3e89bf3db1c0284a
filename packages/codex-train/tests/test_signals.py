"""Signals: the first is noted, the second ends the process, and what was there before comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from codex_train.signals import ASKING, RunInterrupted, listening

TWICE = """
import os, signal
from codex_train.signals import listening
signal.signal(signal.SIGINT, signal.default_int_handler)
with listening() as asked:
    os.kill(os.getpid(), signal.{first})
    print(asked.signal, flush=True)
    os.kill(os.getpid(), signal.{second})
    print("still here")
"""


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_is_noted_and_the_handlers_come_back(number: int) -> None:
    before = [signal.getsignal(one) for one in ASKING]
    with listening() as asked:
        noted = [asked.signal]
        os.kill(os.getpid(), number)
        noted.append(asked.signal)
    assert noted == [None, number]
    assert [signal.getsignal(one) for one in ASKING] == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening() as asked:
            os.kill(os.getpid(), signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert asked.signal is None
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("first", "second"), [("SIGTERM", "SIGTERM"), ("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT")])
def test_a_second_signal_ends_the_process_at_once(first: str, second: str) -> None:
    words = [sys.executable, "-c", TWICE.format(first=first, second=second)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.Signals[second]
    assert done.stdout == f"{signal.Signals[first].value}\n"


def test_an_interrupted_run_ends_its_process_with_the_status_a_shell_expects() -> None:
    program = "from codex_train import RunInterrupted; raise RunInterrupted({}, 7)"
    for number, status in ((2, 130), (15, 143)):
        done = subprocess.run([sys.executable, "-c", program.format(number)], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (status, b"")
    assert str(RunInterrupted(15, 7)) == "SIGTERM ended the run after step 7, which is saved"
