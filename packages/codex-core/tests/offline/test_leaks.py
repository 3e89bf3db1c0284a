"""What the leak matrix promises: without a seal it finds every way open, so what it finds closed in one is closed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from codex_core.errors import CodexError
from codex_core.offline import linux
from codex_core.offline.leaks import matrix
from codex_core.offline.leaks.matrix import Finding
from codex_core.offline.leaks.outside import KEY
from codex_core.offline.leaks.ways import WAYS
from codex_core.offline.seccomp import call_number

MAY_BE_ABSENT = {"vsock", "sysrq", "/sys", "/dev/mem", "disk", "mknod", "io_uring", "mptcp", "keyctl", "tcp over ipv6"}
MAY_BE_ABSENT |= {"udp over ipv6", "nsenter", "obstore to loopback", "pycurl to loopback", "grpcio to loopback"}
"""What the kernel, the container or the installation that a test runs in may not have."""
NEED_ROOT = {"raw", "packet", "socket in /run", "umount", "setns", "mount", "remount", "core_pattern"}


def without_a_seal(words: Sequence[str], handed: Sequence[int]) -> str:
    return subprocess.run(words, pass_fds=handed, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_without_a_seal_every_way_is_open() -> None:
    level, findings = matrix.run(without_a_seal, away=False)
    expected = {way.name for way in WAYS if way.target != "away"} - MAY_BE_ABSENT
    expected -= NEED_ROOT if os.geteuid() != 0 else set()
    assert level is None
    assert {
        finding.name: finding.said for finding in findings if finding.verdict != "open" and finding.name in expected
    } == {}
    assert not any(finding.is_leak for finding in findings)  # nothing is promised where there is no seal


def test_what_was_opened_outside_is_gone_afterwards() -> None:
    matrix.run(without_a_seal, away=False)
    assert [path for parent in ("/tmp", "/run") for path in Path(parent).glob(f"codex-leaks-{os.getpid()}-*")] == []
    with pytest.raises(OSError, match="Required key not available"):
        linux.call(call_number("keyctl"), 10, -4, b"user", KEY.encode(), 0)  # KEYCTL_SEARCH in the user's keyring


def test_a_program_that_ends_too_early_is_no_proof() -> None:
    def start(words: Sequence[str], handed: Sequence[int]) -> str:
        return without_a_seal(words, handed).splitlines()[0]

    with pytest.raises(CodexError, match=r"ended before it had tried 'python to loopback' and \d+ more"):
        matrix.run(start, away=False)
    with pytest.raises(CodexError, match="ended before it had tried"):
        matrix.run(lambda *_: "", away=False)


def test_a_way_that_is_open_is_a_leak_where_the_level_promises_that_it_is_not() -> None:
    (path,) = (way for way in WAYS if way.name == "socket in /tmp")
    (connect,) = (way for way in WAYS if way.name == "ctypes to loopback")
    levels = ("kernel", "nosocket", "python")
    assert [path.is_held_at(level) for level in levels] == [True, False, False]
    assert [connect.is_held_at(level) for level in levels] == [True, True, False]
    assert Finding("way", "about", "open", "it was reached", promised=True).is_leak
    assert not Finding("way", "about", "open", "it was reached", promised=False).is_leak
    assert not Finding("way", "about", "held", "refused", promised=True).is_leak
