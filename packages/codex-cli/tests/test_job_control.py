"""Promises of ``codex sealed`` on a terminal: a shell has the sealed command as a job, as if it were not sealed."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Mark

SEALED = [sys.executable, "-P", "-m", "codex_cli", "sealed", "--"]
COMMAND = " ".join(SEALED)
FORCED = """
import os, sys
from codex_cli import sealed
from codex_core.offline import levels
level = getattr(levels, sys.argv[1])
levels.start_highest = lambda required, start: (start(level), [])
sys.exit(sealed.main(["--", *sys.argv[2:]], os.environ))
"""
OUTER = ["bash", "--norc", "--noprofile", "-i"]


def test_ctrl_c_ends_the_command_and_the_status_says_so(mark: Mark) -> None:
    with Terminal(
        [*SEALED, sys.executable, "-c", "import time; print('up', flush=True); time.sleep(1000)", mark]
    ) as tty:
        tty.expect("up")
        tty.type("\x03")
        assert tty.status() == -signal.SIGINT
        assert tty.text.count("KeyboardInterrupt") == 1


def test_ctrl_c_of_a_run_ends_its_stages_and_then_it(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text(
        '[pipeline]\nname = "p"\n[stages.a]\ncommand = "echo up; sleep 1000"\noutputs = ["o"]\n'
    )
    with Terminal([sys.executable, "-m", "codex_cli", "run", str(tmp_path)]) as tty:
        while not (tmp_path / ".codex/logs/a.log").exists() or not (tmp_path / ".codex/logs/a.log").read_text():
            time.sleep(0.05)
        tty.type("\x03")
        assert tty.status() == 130
        assert "stage 'a' was ended by SIGINT" in tty.text


def test_a_stopped_command_stops_the_job_and_goes_on_in_the_foreground() -> None:
    with Terminal(OUTER) as tty:
        tty.type("PS1='$ '\n")
        tty.stop_a_reader()
        tty.type("jobs\n")
        tty.expect(r"\[1\]\+\s+Stopped")
        tty.answer_in_foreground()
        tty.type("exit\n")
        assert tty.status() == 0


def test_a_job_that_was_stopped_for_long_goes_on_and_stays_so() -> None:
    """What stopped it is over by then, for everybody who was told of it."""
    with Terminal(OUTER) as tty:
        tty.type("PS1='$ '\n")
        for _ in range(4):
            tty.stop_a_reader()
            time.sleep(1.3)
            tty.answer_in_foreground()
        tty.type("exit\n")
        assert tty.status() == 0


def test_an_interrupt_before_anything_has_started_ends_a_loop_too() -> None:
    code = """
import codex_cli.door as door
def interrupted(*_):
    raise KeyboardInterrupt
door._answer = interrupted
raise SystemExit(door.main())
"""
    with Terminal([sys.executable, "-c", code, "sealed", "--", "true"]) as tty:
        assert tty.status() == -signal.SIGINT
    with Terminal([sys.executable, "-c", code, "plan"]) as tty:
        assert tty.status() == 130


def test_a_shell_inside_has_job_control_and_gives_the_terminal_back() -> None:
    with Terminal(OUTER) as tty:
        tty.type("PS1='outer '\n")
        tty.type(COMMAND + " bash --norc --noprofile -i\n")
        tty.type("PS1='inner '\n")
        tty.type("sleep 1000\n")
        tty.type("\x1a")
        tty.expect("Stopped.*sleep 1000")
        tty.type("disown -a\n")
        tty.type("exit 5\n")
        tty.type("echo code $?\n")
        tty.expect("code 5")
        tty.type("cat\n")
        tty.type("the terminal is ours\n")
        tty.expect("ours\r\nthe terminal is ours")
        tty.type("\x04exit\n")
        tty.status()
        assert "no job control" not in tty.text


def test_ctrl_c_ends_a_script_that_was_brought_to_the_foreground() -> None:
    script = f"bash -c '{COMMAND} sh -c \"echo up; sleep 1000\"; echo after'"
    with Terminal(OUTER) as tty:
        tty.type(f"{script} &\n")
        tty.expect(r"\[1\] \d+.*up\r\n")
        tty.type("fg\n")
        tty.expect("fg\r\n")
        tty.type("\x03")
        tty.type("echo the $((40+2))\n")
        tty.expect("the 42")
        assert "\r\nafter" not in tty.text
        tty.type("exit\n")
        tty.status()


def test_ctrl_c_ends_a_loop_of_the_shell_too() -> None:
    with Terminal(OUTER) as tty:
        tty.type(f"for i in 1 2 3; do {COMMAND} sh -c 'echo round; sleep 1000'; done\n")
        tty.expect("\r\nround")
        tty.type("\x03")
        tty.type("echo code $?\n")
        tty.expect("\r\ncode 130")
        assert tty.text.count("\r\nround") == 1


@pytest.mark.parametrize("level", ["KERNEL", "KERNEL_SHARED_PIDS", "NOSOCKET", "PYTHON"])
@pytest.mark.parametrize("program", ["cat", "sh -c 'cat; true'"])
def test_a_reader_that_was_started_in_the_background_goes_on_in_the_foreground(
    program: str, level: str, tmp_path: Path
) -> None:
    (tmp_path / "forced.py").write_text(FORCED)
    command = f"{sys.executable} {tmp_path}/forced.py {level}"
    with Terminal(OUTER) as tty:
        tty.type(f"{command} {program} &\n")
        tty.wait_until_stopped()
        tty.expect(r"\[1\]\+\s+Stopped")
        tty.type("fg\n")
        tty.expect(f"{re.escape(command)} {program}\r\n")
        tty.type("words\n")
        tty.expect("words\r\nwords\r\n")
        tty.type("\x04")
        tty.type("echo code $?\n")
        tty.expect("\r\ncode 0")


def test_a_writer_that_may_not_write_from_the_background_goes_on_in_the_foreground() -> None:
    with Terminal(OUTER) as tty:
        tty.type("stty tostop\n")
        tty.type(f"{COMMAND} sh -c 'echo line; echo end' &\n")
        tty.wait_until_stopped()
        tty.expect(r"\[1\]\+\s+Stopped")
        tty.type("fg\n")
        tty.expect("\r\nline\r\nend\r\n")


def test_a_job_that_is_stopped_and_continued_at_once_is_there() -> None:
    with Terminal(OUTER) as tty:
        tty.type(f"{COMMAND} cat\n")
        for word in map(str, range(20)):
            tty.type(f"word{word}\n")
            tty.expect(f"word{word}\r\nword{word}\r\n")
            tty.type("\x1a")
            tty.expect("Stopped")
            os.write(tty.descriptor, b"fg\n")
            tty.expect(f"{COMMAND} cat\r\n")
        tty.type("\x04")
        tty.type("echo code $?\n")
        tty.expect("\r\ncode 0")


def test_a_shell_inside_can_be_suspended_and_has_the_terminal_again() -> None:
    with Terminal(OUTER) as tty:
        tty.type("PS1='outer '\n")
        tty.type(f"{COMMAND} {' '.join(OUTER)}\n")
        tty.type("PS1='inner '\n")
        for _ in range(2):
            tty.type("suspend\n")
            tty.expect("Stopped.*outer ")
            tty.type("fg\n")
            tty.type("cat\n")
            tty.type("it is ours\n")
            tty.expect("ours\r\nit is ours")
            tty.type("\x04")
        tty.type("exit 5\n")
        tty.type("echo code $?\n")
        tty.expect("\r\ncode 5")


def test_a_program_that_is_continued_from_inside_continues_the_job() -> None:
    with Terminal(OUTER) as tty:
        tty.type(f"{COMMAND} sh -c '(sleep 1; kill -CONT $$) & kill -STOP $$; echo con; sleep 1000'\n")
        tty.expect("Stopped")
        tty.expect("\r\n[^\r]*con\r\n")
        tty.type("jobs\n")
        tty.expect(r"\[1\]\+\s+Running")
        tty.type("kill %1; wait; echo waited\n")
        tty.expect("\r\nwaited")


def test_a_job_that_ends_in_the_background_leaves_the_terminal_to_the_shell() -> None:
    with Terminal(OUTER) as tty:
        tty.type(f"{COMMAND} sh -c 'read line; sleep 1'\n")
        tty.type("\x1a")
        tty.expect("Stopped")
        tty.type("fg\n")
        tty.type("line\n")
        tty.type("\x1a")
        tty.expect("Stopped")
        tty.type("bg\n")
        tty.type("wait; echo waited\n")
        tty.expect("\r\nwaited")
        tty.type("cat\n")
        tty.type("the terminal is ours\n")
        tty.expect("ours\r\nthe terminal is ours")


def test_a_stopped_shell_inside_ends_when_the_terminal_is_closed(mark: Mark) -> None:
    with Terminal(OUTER) as tty:
        tty.type("PS1='outer '\n")
        tty.type(f"{COMMAND} bash --norc --noprofile -i -s -- {mark}\n")
        tty.type("PS1='inner '; sleep 1000 & suspend\n")
        tty.expect("Stopped.*outer ")
        assert mark.processes()
        tty.close()
        assert mark.ends()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_job_ends_when_it_is_told_to(mark: Mark, number: signal.Signals) -> None:
    with Terminal(OUTER) as tty:
        tty.type(f"{COMMAND} sh -c 'cat; true' {mark}\n")
        tty.type("\x1a")
        tty.expect("Stopped")
        tty.type(f"kill -{number.name} %1; kill -CONT %1\n")
        tty.type("wait; echo waited\n")
        tty.expect("\r\nwaited")
        assert mark.ends()


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self.text = ""
        self._from = 0
        self._code: int | None = None

    def __enter__(self) -> Terminal:
        self._pid, self.descriptor = pty.fork()
        if self._pid == 0:
            os.execvpe(self._words[0], self._words, {**os.environ, "TERM": "dumb"})
        return self

    def __exit__(self, *_: object) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            self.status()
        self.close()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def type(self, keys: str) -> None:
        self._read(0.2)
        os.write(self.descriptor, keys.encode())

    def expect(self, pattern: str) -> None:
        deadline = time.monotonic() + 20
        while (found := re.compile(pattern, re.DOTALL).search(self.text, self._from)) is None:
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.text!r}"
            self._read(0.1)
        self._from = found.end()

    def stop_a_reader(self) -> None:
        """Start a sealed command that waits for a line, and stop it."""
        self.type(COMMAND + " sh -c 'echo up; read line; echo got $line'\n")
        self.expect("\r\nup")
        self.type("\x1a")
        self.expect("Stopped")

    def answer_in_foreground(self) -> None:
        """Bring it back, and give it the line."""
        self.type("fg\n")
        self.expect("fg\r\n.*sealed")
        self.type("words\n")
        self.expect("\r\ngot words")

    def wait_until_stopped(self) -> None:
        """Ask the shell until a job is stopped, which it tells of only when it has something to do."""
        deadline = time.monotonic() + 20
        while "Stopped" not in self.text[self._from :]:
            assert time.monotonic() < deadline, f"nothing has stopped: {self.text!r}"
            self.type("jobs\n")

    def status(self) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + 20
        while True:
            self._read(0.05)
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._read(0)
                self._code = os.waitstatus_to_exitcode(status)
                return self._code
            assert time.monotonic() < deadline, f"it did not end: {self.text!r}"

    def _read(self, seconds: float) -> None:
        """What comes until it has been quiet for so long."""
        while self.descriptor >= 0 and select.select([self.descriptor], [], [], seconds)[0]:
            try:
                data = os.read(self.descriptor, 65536)
            except OSError:
                return  # the other end has closed
            if not data:
                return
            self.text += data.decode(errors="replace")
