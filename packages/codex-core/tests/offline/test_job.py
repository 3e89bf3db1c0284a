"""The job that a keeper is: it stops until somebody continues it, or it has something to hear."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from codex_core.offline.job import is_readable, stop_until_heard


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


def stopping(sock: socket.socket) -> int:
    """A child that stops until it is continued, or hears something of ``sock``; it exits with which of the two."""
    child = os.fork()
    if child == 0:
        os._exit(11 if stop_until_heard(signal.SIGSTOP, sock.fileno()) else 10)
    return child


def test_a_message_continues_it(pair: tuple[socket.socket, socket.socket]) -> None:
    child = stopping(pair[1])
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    pair[0].send(b"word")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10


def test_somebody_continues_it(pair: tuple[socket.socket, socket.socket]) -> None:
    child = stopping(pair[1])
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    os.kill(child, signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 11


def test_it_does_not_stop_where_there_is_something_to_hear(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].send(b"word")
    child = stopping(pair[1])
    assert os.waitstatus_to_exitcode(os.waitpid(child, os.WUNTRACED)[1]) == 10


def test_the_end_of_the_other_side_can_be_read(pair: tuple[socket.socket, socket.socket]) -> None:
    assert not is_readable(pair[1].fileno())
    pair[0].close()
    assert is_readable(pair[1].fileno())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 5)])
def test_only_a_signal_of_the_keyboard_is_died_of(number: int, code: int) -> None:
    program = f"import sys; from codex_core.offline.job import die_of; die_of({int(number)}); sys.exit(5)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == code
