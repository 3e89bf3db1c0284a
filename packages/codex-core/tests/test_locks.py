from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codex_core.errors import RunLocked
from codex_core.locks import Lock, holder

HOLDER = """
import sys, time
from pathlib import Path
from codex_core.locks import Lock
with Lock(Path(sys.argv[1]), where=Path()):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> Lock:
    return Lock(path, where=path.parent)


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    lock, message = tmp_path / "lock", rf"another process works in {tmp_path} \(pid {os.getpid()}\)"
    with hold(lock), pytest.raises(RunLocked, match=message) as caught, hold(lock):
        pass
    assert caught.value.exit_code == 5
    assert isinstance(caught.value, BlockingIOError)


def test_the_lock_is_free_after_its_block(tmp_path: Path) -> None:
    with hold(tmp_path / "lock"):
        assert holder(tmp_path / "lock") == os.getpid()
    assert holder(tmp_path / "lock") is None


def test_nobody_holds_a_lock_that_was_never_taken(tmp_path: Path) -> None:
    assert holder(tmp_path / "lock") is None


def test_a_killed_holder_leaves_nothing_to_unlock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    words = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert holder(lock) == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
    with hold(lock):
        assert holder(lock) == os.getpid()


def test_a_look_at_who_holds_a_lock_never_takes_it(tmp_path: Path) -> None:
    """A run that starts while ``codex status`` looks must not be refused."""
    lock = tmp_path / "lock"
    with hold(lock):
        pass
    looks = "from codex_core.locks import holder; from pathlib import Path; import sys\nprint(1, flush=True)"
    words = [sys.executable, "-c", f"{looks}\nwhile True: holder(Path(sys.argv[1]))", str(lock)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(500):
            with hold(lock):
                assert holder(lock) == os.getpid()
        process.kill()


def test_a_forked_child_does_not_hold_the_lock_of_its_killed_parent(tmp_path: Path) -> None:
    program = """
import os, signal, sys, time
from pathlib import Path
from codex_core.locks import Lock
lock = Lock(Path(sys.argv[1]), where=Path())
child, wake = os.pipe()
if os.fork() == 0:
    os.write(wake, b"x")
    sys.stdin.read()
    os._exit(0)
os.read(child, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    words = [sys.executable, "-c", program, str(tmp_path / "lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.wait(60) == -signal.SIGKILL
        with hold(tmp_path / "lock"):  # while the child lives
            assert holder(tmp_path / "lock") == os.getpid()


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_lock_that_is_forgotten_is_let_go(tmp_path: Path) -> None:
    forgotten = hold(tmp_path / "lock")
    del forgotten
    assert holder(tmp_path / "lock") is None
