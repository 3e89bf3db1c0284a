"""Nothing leaves: the leak matrix, in a sealed command and in a sealed stage, as root and as an unprivileged user."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_cli.self_test import SelfTest
from codex_core.offline.leaks import matrix
from codex_core.offline.leaks.matrix import Finding
from codex_core.offline.leaks.ways import INHERITED, WAYS

if TYPE_CHECKING:
    from conftest import AsNobody, Codex

SEALED = [sys.executable, "-m", "codex_cli", "sealed", "--require-guard", "kernel", "--"]
STAGE = """
[pipeline]
name = "leaks"

[stages.leak]
command = "sh matrix.sh"
inputs = ["matrix.sh"]
outputs = ["said"]
"""
MAY_BE_ABSENT = {
    "vsock",
    "keyctl",
    "tcp over ipv6",
    "udp over ipv6",
    "nsenter",
    "/sys",
    "disk",
    "socket in /run",
    "umount",
}
EXPLAINED = {"python away", "asyncio away", "child away", "udp away", "tcp fast open away"}
"""What goes through Python's socket module is refused with a rule that would allow it; what does not, by the kernel."""


def check(level: str | None, findings: Sequence[Finding]) -> None:
    """Every way was tried, none is open, and where a person could see the refusal it is explained."""
    assert level == "kernel"
    assert [finding.name for finding in findings] == [way.name for way in WAYS]
    assert {finding.name: finding.said for finding in findings if finding.verdict == "open"} == {}
    assert {finding.name for finding in findings if finding.verdict == "not tried"} <= MAY_BE_ABSENT
    said = {finding.name: finding.said for finding in findings}
    assert {name for name in said if "PolicyRefused: " in said[name]} == EXPLAINED
    for name in ("grandchild", "obstore", "pycurl", "grpcio"):
        assert "no route" in said[f"{name} away"] or "unreachable" in said[f"{name} away"]


def test_nothing_gets_out_of_a_sealed_command(folder: Path) -> None:
    def start(words: Sequence[str], handed: Sequence[int]) -> str:
        environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
        done = subprocess.run(
            [*SEALED, *words], env=environ, pass_fds=handed, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    check(*matrix.run(start))


def test_nothing_gets_out_of_a_stage(folder: Path) -> None:
    def start(words: Sequence[str], handed: Sequence[int]) -> str:
        (folder / "matrix.sh").write_text(f"{shlex.join(words)} > said\n")
        (folder / "codex.toml").write_text(STAGE)
        run = [sys.executable, "-m", "codex_cli", "run", "--require-guard", "kernel", str(folder)]
        done = subprocess.run(run, pass_fds=handed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return (folder / "said").read_text()

    check(*matrix.run(start))
    record = json.loads((folder / ".codex/records/leak.json").read_text())
    attestation = record["observed"]["attestation"]
    assert (attestation["guard"], attestation["interfaces"], attestation["routes"]) == ("kernel", ["lo"], [])
    assert attestation["attempts"] >= 5  # the packets of native code, which nothing else tells of


def test_nothing_gets_out_for_an_unprivileged_user(as_nobody: AsNobody) -> None:
    code = "import json, os, codex_cli.self_test as s; print(json.dumps({}))"
    test = "s.run_self_test(os.environ, inherited=False).to_json()"
    done = as_nobody("python", "-c", code.format(test))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    check(said["level"], [Finding(**finding) for finding in said["findings"]])


def test_where_there_are_no_namespaces_only_the_stated_limits_are_open(folder: Path) -> None:
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh", sys.executable, "-m", "codex_cli"]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder)}
    done = subprocess.run(
        [*words, "doctor", "--self-test", "--json"], env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    test: Any = json.loads(done.stdout)["self_test"]
    assert test["level"] == "nosocket"
    found = {finding["name"] for finding in test["findings"] if finding["verdict"] == "open"}
    limits = {way.name for way in WAYS if "nosocket" in way.open_at}
    assert {"abstract socket", "socket in /tmp"} <= found <= limits


def test_inside_a_seal_only_the_stated_limits_of_an_inherited_level_are_open(codex: Codex, folder: Path) -> None:
    words = [sys.executable, "-m", "codex_cli", "doctor", "--self-test", "--json"]
    answer = codex("sealed", "--", *words, XDG_STATE_HOME=str(folder))
    assert (answer.exit, answer.err) == (0, "")
    test = answer.json["self_test"]
    assert (test["level"], test["inherited"]) == ("kernel", True)
    found = {finding["name"] for finding in test["findings"] if finding["verdict"] == "open"}
    limits = {way.name for way in WAYS if INHERITED in way.open_at}
    assert {"ctypes to loopback", "abstract socket", "socket in /tmp"} <= found <= limits


def test_the_doctor_tells_what_it_tried(codex: Codex) -> None:
    answer = codex("doctor", "--self-test")
    assert (answer.exit, answer.err) == (0, "")
    assert f"self-test: {len(WAYS)} ways out of a seal of level kernel, " in answer.out
    assert "\nheld       ctypes away             OSError: [Errno 101] Network is unreachable\n" in answer.out


def test_the_doctor_names_what_is_open_and_should_not_be() -> None:
    findings = [
        Finding("udp", "a datagram", "open", "it was reached", promised=True),
        Finding("kill", "a signal", "open", "it was reached", promised=False),
        Finding("raw", "a raw socket", "held", "PermissionError", promised=True),
    ]
    test = SelfTest("nosocket", False, tuple(findings))
    assert [(problem.code, problem.message) for problem in test.problems()] == [
        ("guard.leak", "udp: a datagram: reached from inside a seal")
    ]
    assert test.describe().splitlines()[1:] == [
        "self-test: 3 ways out of a seal of level nosocket, 2 open, 1 held",
        "open       udp   it was reached",
        "open       kill  it was reached; a limit of the level nosocket",
        "held       raw   PermissionError",
    ]
