"""What the doctor promises: the truth about the guard, and every fault with what to do about it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_cli.doctor import (
    REASONS,
    Check,
    Guard,
    check_cache,
    check_ledger,
    check_pipeline,
    check_project,
    check_python,
    check_state,
    describe_checks,
)
from codex_core.ledger import Ledger

Codex = Callable[..., tuple[int, str, str]]

PIPELINE = '[pipeline]\nname = "p"\n\n[stages.a]\ncommand = "true"\noutputs = ["x"]\n'


def test_doctor_says_which_level_this_machine_gives(codex: Codex) -> None:
    code, out, err = codex("doctor", "--json")
    answer = json.loads(out)
    assert (code, err) == (0, "")
    assert answer["guard"] == {"level": "kernel", "reason": REASONS["kernel"]}
    assert {tuple(check) for check in answer["checks"]} == {("name", "status", "message", "hint")}
    assert {check["status"] for check in answer["checks"]} == {"ok"}


def test_doctor_says_what_would_raise_the_level() -> None:
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh", sys.executable, "-m", "codex_cli"]
    done = subprocess.run([*words, "doctor", "--json"], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert answer["guard"] == {"level": "nosocket", "reason": REASONS["nosocket"]}
    assert answer["checks"][0] == {
        "name": "level kernel",
        "status": "warn",
        "message": "unshare: ENOSPC; /proc/sys/user/max_user_namespaces is 0;"
        " what would allow it: sysctl user.max_user_namespaces=10000",
        "hint": "without it, the level is nosocket",
    }


def test_failed_check_ends_with_1(codex: Codex, tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text("[pipeline]\nnam = 1\n")
    code, out, err = codex("doctor", cwd=tmp_path)
    assert (code, err) == (1, "")
    assert "\nfail  pipeline " in out


def test_this_python_is_fine() -> None:
    assert check_python().status == "ok"


def test_valid_pipeline_is_ok_and_its_folder_is_tried(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text(PIPELINE)
    checks = list(check_project(tmp_path))
    assert [(check.name, check.status) for check in checks] == [
        ("pipeline", "ok"),
        ("state folder", "ok"),
        ("file locks", "ok"),
        ("rename exchange", "ok"),
    ]
    assert checks[0].message == f"{tmp_path / 'codex.toml'}, 1 stage"
    assert [path.name for path in tmp_path.iterdir()] == ["codex.toml"]


def test_mistakes_of_a_pipeline_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "codex.toml"
    file.write_text(PIPELINE.replace("outputs", "output").replace("command", "comand"))
    check = check_pipeline(file)
    assert (check.status, check.hint) == ("fail", "codex plan shows them all")
    assert "mistakes, the first: " in check.message


def test_no_project_is_no_fault(tmp_path: Path) -> None:
    assert list(check_project(tmp_path)) == [
        Check("pipeline", "ok", f"there is no codex.toml in {tmp_path} or above"),
    ]


def test_file_system_without_an_exchange_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(one: Path, other: Path) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(other))

    monkeypatch.setattr("codex_cli.doctor.swap", refuse)
    check = list(check_state(tmp_path))[-1]
    assert (check.name, check.status, check.message) == ("rename exchange", "warn", "renameat2(2): Invalid argument")


def test_folder_that_cannot_be_written_to_fails() -> None:
    (check,) = check_state(Path("/proc/self"))
    assert (check.name, check.status, check.hint) == ("state folder", "fail", "run in a folder that you can write to")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is full")
def test_full_disk_is_told(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(tmp_path)], check=True)
    try:
        (check,) = check_state(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert (check.name, check.status, check.hint) == ("state folder", "fail", "free some space on that disk")
    assert "No space left on device" in check.message


def test_ledger_is_verified(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").touch()
    path = tmp_path / ".codex/ledger.ndjson"
    assert check_ledger(tmp_path, {}) == Check("ledger", "ok", f"{path} is not there yet")
    Ledger(path).append("a", {}, at=datetime.now(UTC))
    assert check_ledger(tmp_path, {}) == Check("ledger", "ok", f"{path}, 1 entry")
    with path.open("a") as file:
        file.write('{"seq": 2')
    check = check_ledger(tmp_path, {})
    assert (check.status, check.message) == ("warn", f"{path}:2: the chain does not hold: torn")
    assert check.hint == "the last line was cut while it was written; the next append marks it"


def test_cache_folder_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codex").mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(tmp_path / "codex", 12345, -1)
        told = "it belongs to user 12345, and this is user 0"
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        told = f"it belongs to user {os.getuid()}, and this is user 12345"
    check = check_cache({"XDG_CACHE_HOME": str(tmp_path)})
    assert (check.status, check.message) == ("warn", f"{tmp_path / 'codex'}: {told}")


def test_cache_folder_that_cannot_be_made_is_told() -> None:
    check = check_cache({"XDG_CACHE_HOME": "/dev/null"})
    assert (check.status, check.message) == ("warn", "/dev/null/codex: Not a directory")


def test_checks_are_shown_in_columns_with_their_hints_below() -> None:
    checks = [Check("a", "ok", "fine"), Check("longer", "fail", "bad", "mend it")]
    assert describe_checks(Guard("python", False, "why", ()), checks).splitlines() == [
        "guard level: python",
        "  why",
        "",
        "ok    a       fine",
        "fail  longer  bad",
        "              mend it",
    ]
