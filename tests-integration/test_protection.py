"""What judges and records is out of reach from inside: policy, ledger and state folder stay what and where they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_core import ledger

if TYPE_CHECKING:
    from conftest import AsNobody, Codex

SEALED = [sys.executable, "-m", "codex_cli", "sealed", "--require-guard", "kernel", "--"]
PROJECT = '[pipeline]\nname = "p"\n'
REPLACE = """
import os
for name in (".codex", "codex.toml", ".codex/ledger.ndjson", "../../above", ".."):
    path = os.path.realpath(name)
    for way in (os.unlink, lambda path: os.rename(path, path + ".away"), lambda path: os.rename(path, "other")):
        try:
            way(path)
            print("changed", path)
        except OSError:
            pass
for name in (".codex/new", ".codex/ledger.ndjson", "codex.toml"):
    try:
        open(name, "a")
        print("written", name)
    except OSError:
        pass
print("tried")
"""


@pytest.fixture
def project(folder: Path) -> Path:
    made = folder / "above/folder/project"
    made.mkdir(parents=True)
    (made / "codex.toml").write_text(PROJECT)
    return made


@pytest.mark.parametrize("made", [False, True])
def test_nothing_inside_replaces_or_moves_the_state_folder(project: Path, codex: Codex, made: bool) -> None:
    if made:
        assert codex("sealed", "true", cwd=project).exit == 0
    assert codex("sealed", "--", sys.executable, "-c", REPLACE, cwd=project).out == "tried\n"
    assert sorted(path.name for path in (project / ".codex").iterdir()) == [".gitignore", "ledger.ndjson"]
    assert (project / "codex.toml").read_text() == PROJECT


def test_an_unprivileged_program_neither_replaces_nor_moves_it(as_nobody: AsNobody) -> None:
    steps = [
        "mkdir -p above/folder/project && cd above/folder/project",
        f"printf {PROJECT!r} > codex.toml",
        f"codex sealed python -c '{REPLACE}'",
    ]
    venv = as_nobody("python", "-c", "import sys; print(sys.prefix)").stdout.strip()
    done = as_nobody(
        "python",
        "-c",
        f"import os; os.environ['PATH'] = {venv!r} + '/bin:' + os.environ['PATH'];"
        f" os.execv('/bin/sh', ['sh', '-ec', {chr(10).join(steps)!r}])",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "tried\n", "")


def test_a_link_above_the_user_s_ledger_leads_nowhere_else(codex: Codex, folder: Path) -> None:
    """A program that moves the link away, is refused, and moves it back, is in the ledger all the same."""
    (folder / "real").mkdir()
    (folder / "home").mkdir()
    (folder / "home/.local").symlink_to(folder / "real")
    code = """
import os, socket
home = os.environ["HOME"]
os.rename(f"{home}/.local", f"{home}/away")
os.makedirs(f"{home}/.local/state/codex")
open(f"{home}/.local/state/codex/ledger.ndjson", "w").close()
try:
    socket.create_connection(("198.51.100.7", 443))
except OSError:
    print("refused")
os.rename(f"{home}/.local", f"{home}/others")
os.rename(f"{home}/away", f"{home}/.local")
"""
    home = {"HOME": str(folder / "home"), "XDG_STATE_HOME": ""}
    answer = codex("sealed", "--", sys.executable, "-c", code, cwd=folder, **home)
    assert (answer.exit, answer.out) == (0, "refused\n"), answer.err
    (entry,) = ledger.read(folder / "real/state/codex/ledger.ndjson")
    assert entry.body["url"] == "https://198.51.100.7:443/"


@pytest.mark.parametrize("name", ["codex.toml", ".codex"])
@pytest.mark.parametrize("command", ["sealed", "run"])
def test_a_link_that_something_inside_could_replace_is_refused(
    project: Path, codex: Codex, command: str, name: str
) -> None:
    (project / "real").mkdir()
    (project / "codex.toml").rename(project / "real/codex.toml")
    (project / "codex.toml").write_text(PROJECT)
    (project / name).unlink(missing_ok=True)
    (project / name).symlink_to(project / "real" / (name if name == "codex.toml" else ""))
    answer = codex(command, *(["echo", "ran"] if command == "sealed" else []), cwd=project)
    assert (answer.exit, answer.out) == (2, "")
    assert "is a symbolic link, which no seal can protect; put the file itself there" in answer.err


def test_a_program_that_locks_the_ledger_is_ended_when_something_cannot_be_recorded(project: Path) -> None:
    code = """
import fcntl, socket, time
lock = open(".codex/ledger.ndjson")
fcntl.flock(lock, fcntl.LOCK_EX)
try:
    socket.create_connection(("198.51.100.7", 80))
except OSError:
    pass
time.sleep(60)
print("it went on")
"""
    done = subprocess.run(
        [*SEALED, sys.executable, "-u", "-c", code], cwd=project, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "the ledger" in done.stderr


def test_a_run_says_that_its_ledger_was_replaced_by_a_plug_in(project: Path) -> None:
    store = '[stores.m]\nurl = "file:m"\n'
    pull = 'uses = "connectors.pull"\noutputs = ["o"]\nwith = { from = "store://m" }\n'
    (project / "codex.toml").write_text(f"{PROJECT}[stages.f]\n{pull}{store}")
    (project / "m").mkdir()
    (project / "m/x").touch()
    code = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "codex_connectors.stages" and not os.path.exists("old"):
            os.rename(".codex", "old")
            os.mkdir(".codex")
            open(".codex/ledger.ndjson", "w").close()
sys.meta_path.insert(0, Finder())
from codex_cli.door import main
sys.exit(main(["run"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert (project / "old/ledger.ndjson").exists()
    assert done.returncode != 0
    assert "/.codex/ledger.ndjson was replaced while this ran" in done.stderr


def test_a_link_in_the_state_folder_opens_nothing_for_a_later_stage(project: Path, codex: Codex) -> None:
    (project / "steps.py").write_text(
        "def f(ctx, params):\n    open(ctx.runs / 'ledger.ndjson', 'w').close()\n    ctx.outputs[0].touch()\n"
    )
    (project / "codex.toml").write_text(f'{PROJECT}[stages.f]\nuses = "steps:f"\noutputs = ["o"]\n')
    code = "import socket; socket.create_connection(('198.51.100.7', 443))"
    (project / ".codex/runs").mkdir(parents=True)
    assert codex("sealed", "--", sys.executable, "-c", code, cwd=project).exit == 1
    before = (project / ".codex/ledger.ndjson").read_bytes()
    assert before
    assert codex("sealed", "ln", "-s", "..", ".codex/runs/f", cwd=project).exit == 0
    answer = codex("run", cwd=project)
    assert answer.exit != 0
    assert "is or lies behind a link" in answer.out + answer.err
    assert (project / ".codex/ledger.ndjson").read_bytes() == before


def test_a_run_that_did_not_begin_leaves_no_state_folder(project: Path, codex: Codex) -> None:
    (project / "codex.toml").write_text(PROJECT + '[stages.f]\nuses = "nothing.such"\noutputs = ["o"]\n')
    assert codex("run", cwd=project).exit == 2
    assert [path.name for path in project.iterdir()] == ["codex.toml"]


def test_a_sealed_command_keeps_its_state_out_of_the_project_s_history(project: Path, codex: Codex) -> None:
    assert codex("sealed", "true", cwd=project).exit == 0
    assert (project / ".codex/.gitignore").read_text() == "*\n"


def test_a_pipeline_cannot_run_inside_the_seal_around_its_project(project: Path, codex: Codex) -> None:
    answer = codex("sealed", "--", sys.executable, "-m", "codex_cli", "run", cwd=project)
    assert answer.exit == 2
    assert "is read-only inside a seal; run the pipeline outside: each of its stages gets a seal" in answer.err


def test_every_policy_reaches_the_program_however_long_it_is(project: Path, codex: Codex) -> None:
    rule = '[[policy.allow]]\nid = "r{0}"\nurl = "https://host{0}.example:443/a/long/path/{0}/**"\nverbs = ["read"]\n'
    rules = "".join(rule.format(number) + f'stages = ["other"]\nreason = "{"why " * 30}"\n' for number in range(400))
    (project / "codex.toml").write_text(PROJECT + rules)
    code = "import socket; socket.create_connection(('host399.example', 443))"
    answer = codex("sealed", "--", sys.executable, "-c", code, cwd=project)
    assert answer.exit == 1
    assert "connect of https://host399.example:443/" in answer.err
    (entry,) = [entry for entry in ledger.read(project / ".codex/ledger.ndjson") if entry.kind == "decision"]
    assert entry.body["verdict"] == "refuse"


def test_threads_that_begin_at_once_are_each_refused_and_recorded(project: Path, codex: Codex) -> None:
    code = """
import socket, threading
start = threading.Barrier(8)
refused = []
def try_it(number):
    start.wait()
    try:
        socket.create_connection(("198.51.100.7", 1000 + number))
    except OSError:
        refused.append(number)
threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(refused))
"""
    answer = codex("sealed", "--", sys.executable, "-c", code, cwd=project)
    assert (answer.exit, answer.out) == (0, "[0, 1, 2, 3, 4, 5, 6, 7]\n")
    recorded = {entry.body["url"] for entry in ledger.read(project / ".codex/ledger.ndjson")}
    assert recorded == {f"https://198.51.100.7:{1000 + number}/" for number in range(8)}


def test_what_a_program_tries_as_it_is_taken_down_is_left_to_the_kernel(project: Path, codex: Codex) -> None:
    code = """
import socket
class Late:
    def __del__(self):
        try:
            socket.socket().connect(("198.51.100.7", 443))
        except OSError as error:
            print(error)
late = Late()
"""
    answer = codex("sealed", "--", sys.executable, "-c", code, cwd=project)
    assert (answer.exit, answer.out, answer.err) == (0, "[Errno 101] Network is unreachable\n", "")


def test_a_real_time_signal_that_ends_a_stage_is_told(project: Path, codex: Codex) -> None:
    (project / "codex.toml").write_text(PROJECT + '[stages.f]\ncommand = "kill -40 $$"\noutputs = ["o"]\n')
    answer = codex("run", "--json", cwd=project)
    assert answer.exit == 1
    assert "signal 40" in json.dumps(answer.json["errors"])
