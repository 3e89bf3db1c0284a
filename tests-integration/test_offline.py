"""Nothing leaves: what a run's seals enforce, what they record, and how they end."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_core import ledger
from codex_core.offline.switches import SWITCHES

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Codex

CODEX = [sys.executable, "-m", "codex_cli"]


def write(folder: Path, stages: str, steps: str = "") -> None:
    (folder / "codex.toml").write_text(f'[pipeline]\nname = "p"\n{stages}')
    if steps:
        (folder / "steps.py").write_text(steps)


def of_project(folder: Path) -> list[int]:
    """The processes of the project's stages, by the TMPDIR that each was started with."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(f"TMPDIR={folder}/.codex/staging/") in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        os.sched_yield()


STATE_PROBE = """
import os, pathlib
def f(ctx, params):
    told = []
    for name in ("ledger.ndjson", "records/x", "lock", "new", "staging/x", "../codex.toml"):
        path = f".codex/{name}"
        try:
            with open(ctx.root / path, "a"):
                told.append(f"{path}: written")
        except OSError as error:
            told.append(f"{path}: {os.strerror(error.errno)}")
    for folder in (ctx.runs, ctx.folder.parent / "scratch", ctx.folder):
        (folder / "probe").touch()
        (folder / "probe").unlink()
    ctx.outputs[0].write_text("\\n".join(told))
"""


def test_the_state_folder_and_the_pipeline_file_are_read_only_inside_a_stage(codex: Codex, folder: Path) -> None:
    write(folder, '[stages.f]\nuses = "steps:f"\noutputs = ["told"]\n', STATE_PROBE)
    (folder / ".codex").mkdir()
    (folder / ".codex/ledger.ndjson").touch()
    assert codex("run", cwd=folder).exit == 0
    lines = (folder / "told").read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["Read-only file system"] * 6


@pytest.mark.parametrize("where", ["command", "uses"])
def test_a_refusal_fails_the_stage_with_its_remedy_even_if_it_was_swallowed(
    codex: Codex, folder: Path, where: str
) -> None:
    code = (
        "import urllib.request\n"
        "def f(ctx, params):\n"
        "    try: urllib.request.urlopen('https://models.example/v1')\n"
        "    except Exception: raise RuntimeError('no model') from None\n"
    )
    command = 'command = "python -c \'import steps; steps.f(0, 0)\'"\ninputs = ["steps.py"]'
    work = command if where == "command" else 'uses = "steps:f"'
    write(folder, f'[stages.f]\n{work}\noutputs = ["o"]\n', code)
    answer = codex("run", "--json", cwd=folder)
    refused = "no rule allows connect of https://models.example:443/ for stage 'f'"
    assert answer.json["stages"][0]["state"] == ("failed" if where == "command" else "refused")
    assert answer.exit == (1 if where == "command" else 77)
    assert refused in answer.json["errors"][-1]["message"]
    assert answer.json["errors"][-1]["hint"].startswith("[[policy.allow]]\n")
    (entry,) = ledger.read(folder / ".codex/ledger.ndjson")
    assert (entry.body["reported"], entry.body["reason"], entry.body["stage"]) == (True, refused, "f")


NATIVE = """
import ctypes, socket
outside = b"\\x02\\x00\\x00\\x50\\xc6\\x33\\x64\\x07" + bytes(8)
sock = socket.socket()
ctypes.CDLL(None).connect(sock.fileno(), outside, len(outside))
"""


def test_what_native_code_tried_is_counted_in_the_record_and_told_where_it_failed(codex: Codex, folder: Path) -> None:
    (folder / "native.py").write_text(NATIVE)
    stages = '[stages.f]\ncommand = "python native.py; echo x > o"\ninputs = ["native.py"]\noutputs = ["o"]\n'
    write(folder, stages)
    assert codex("run", cwd=folder).exit == 0
    record = json.loads((folder / ".codex/records/f.json").read_text())
    seen = record["observed"]["attestation"]
    assert {name: seen[name] for name in ("guard", "interfaces", "routes", "attempts")} == {
        "guard": "kernel",
        "interfaces": ["lo"],
        "routes": [],
        "attempts": 1,
    }
    write(folder, stages.replace("echo x > o", "exit 1"))
    answer = codex("run", "--json", cwd=folder)
    assert answer.exit == 1
    assert answer.json["errors"][-1]["message"].endswith(
        "it tried once to reach a network, and there is none in a seal"
    )


def test_what_native_code_tried_is_told_where_the_stage_came_through_all_the_same(codex: Codex, folder: Path) -> None:
    write(folder, '[stages.n]\ncommand = "getent hosts files.example; echo > o"\noutputs = ["o"]\n')
    answer = codex("run", "--json", str(folder))
    (stage,) = answer.json["stages"]
    assert (answer.exit, stage["state"]) == (0, "ran")
    assert (
        "it looked up files.example, and a seal has only the names of hosts that a rule in force names exactly"
        in stage["why"]
    )
    assert [entry.kind for entry in ledger.read(folder / ".codex/ledger.ndjson")] == ["lookup"]


def test_each_stage_has_its_own_processes_loopback_and_abstract_sockets(codex: Codex, folder: Path) -> None:
    steps = """
import os, socket, time
def f(ctx, params):
    listener = socket.create_server(("127.0.0.1", 45454))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\\0codex-test-of-stages")
    mine = ctx.root / "meeting" / ctx.stage
    mine.touch()
    while len(list(mine.parent.iterdir())) < 2:
        time.sleep(0.01)
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    ctx.outputs[0].write_text(" ".join(sorted(pids)))
"""
    stage = '[stages.{0}]\nuses = "steps:f"\noutputs = ["{0}.txt"]\n'
    write(folder, stage.format("a") + stage.format("b"), steps)
    (folder / "meeting").mkdir()
    assert codex("run", "--jobs", "2", cwd=folder).exit == 0
    assert {(folder / f"{name}.txt").read_text() for name in "ab"} == {"1 2"}


def test_string_hashes_are_the_same_in_every_run_of_a_python_stage(codex: Codex, folder: Path) -> None:
    steps = "def f(ctx, params):\n    ctx.outputs[0].write_text(str(hash('x')))\n"
    write(folder, '[stages.f]\nuses = "steps:f"\noutputs = ["o"]\n', steps)
    hashes = set()
    for _ in range(2):
        assert codex("run", "--force", cwd=folder).exit == 0
        hashes.add((folder / "o").read_text())
    expected = subprocess.run(
        [sys.executable, "-c", "print(hash('x'), end='')"], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
    )
    assert hashes == {expected.stdout.decode()}


def test_a_stage_may_have_variables_that_a_python_reads_at_its_start(codex: Codex, folder: Path) -> None:
    steps = "import sys\n\ndef f(ctx, params):\n    ctx.outputs[0].write_text(f'{sys.flags.optimize} {hash(\"x\")}')\n"
    env = 'env = { PYTHONOPTIMIZE = "2", PYTHONHASHSEED = "7" }'
    write(folder, f'[stages.f]\nuses = "steps:f"\noutputs = ["o"]\n{env}\n', steps)
    assert codex("run", cwd=folder).exit == 0
    expected = subprocess.run(
        [sys.executable, "-c", "print(2, hash('x'), end='')"],
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
    )
    assert (folder / "o").read_text() == expected.stdout.decode()


def test_plug_ins_are_loaded_in_a_seal_and_nowhere_else(folder: Path) -> None:
    store = '[stores.m]\nurl = "file:m"\n'
    pull = 'uses = "connectors.pull"\noutputs = ["o"]\nwith = { from = "store://m" }\n'
    write(folder, f"[stages.f]\n{pull}{store}")
    (folder / "m").mkdir()
    (folder / "m/x").touch()
    code = """
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "codex_connectors.stages":
            print(os.environ.get("CODEX_GUARD", "outside"), file=open("trace", "a"))
            if os.environ.get("CODEX_STAGE") is None:
                try:
                    open("codex.toml", "a")
                except OSError as error:
                    print(error.errno, file=open("trace", "a"))
sys.meta_path.insert(0, Finder())
from codex_cli.door import main
sys.exit(main(["run"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = (folder / "trace" if (folder / "trace").exists() else next(folder.rglob("trace"))).read_text()
    assert set(told.split()) == {"kernel", str(errno.EROFS)}
    assert (folder / "o/x").exists()


def test_a_stage_in_python_is_a_fork_of_the_keeper(codex: Codex, folder: Path) -> None:
    steps = "def f(ctx, params):\n    open('o', 'wb').write(open('/proc/self/cmdline', 'rb').read())\n"
    write(folder, '[stages.a]\nuses = "steps:f"\noutputs = ["o"]\n', steps)
    answer = codex("run", "--json", cwd=folder)
    assert answer.exit == 0, answer
    words = (folder / "o").read_bytes().split(b"\0")
    assert b"run" in words
    assert not any(b"stage_process" in word for word in words)


@pytest.mark.parametrize("uses", ['uses = "steps:f"', "command = 'env > o'"])
def test_the_switches_are_set_in_every_stage(uses: str, codex: Codex, folder: Path) -> None:
    code = (
        "import os\ndef f(ctx, params):\n    ctx.outputs[0].write_text('\\n'.join(map('='.join, os.environ.items())))\n"
    )
    write(folder, f'[stages.a]\n{uses}\noutputs = ["o"]\n', code)
    assert codex("run", "--json", cwd=folder).exit == 0
    assert {f"{one.name}={one.value}" for one in SWITCHES} <= set((folder / "o").read_text().splitlines())


def test_an_interrupt_that_was_ignored_at_the_start_stays_so(folder: Path) -> None:
    write(folder, '[stages.a]\ncommand = "touch $TMPDIR/started; sleep 1; touch o"\noutputs = ["o"]\n')
    words = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *CODEX, "run"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, process_group=0) as process:
        wait_for(lambda: list(folder.glob(".codex/staging/**/started")))
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
    assert process.returncode == 0
    assert (folder / "o").exists()


def test_an_interrupt_while_the_runner_loads_plug_ins_ends_the_run(folder: Path) -> None:
    """Even where what is loaded swallows every exception."""
    stage = 'uses = "connectors.pull"\nwith = { from = "store://m" }\noutputs = ["o"]\n'
    write(folder, f'[stores.m]\nurl = "file:m"\n[stages.f]\n{stage}')
    code = """
import os, signal, sys, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "codex_connectors.stages":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)
            except BaseException:
                return None
sys.meta_path.insert(0, Finder())
from codex_cli.door import main
sys.exit(main(["run", "--json"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["exit"], answer["stages"]) == (130, 130, [])
    assert done.stderr == "codex: interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_the_stages_end_in_order_and_leaves_no_process(folder: Path, number: signal.Signals) -> None:
    script = "trap 'echo ended > \"$NOTE\"; exit 0' TERM; touch started; while :; do sleep 0.01; done"
    (folder / "slow.sh").write_text(script)
    write(folder, '[stages.a]\ncommand = "exec sh slow.sh"\ninputs = ["slow.sh"]\noutputs = ["o"]\n')
    note = folder / "note"
    with subprocess.Popen(
        [*CODEX, "run"], cwd=folder, env={**os.environ, "NOTE": str(note)}, stdout=subprocess.PIPE, process_group=0
    ) as process:
        wait_for(lambda: list(folder.glob(".codex/staging/*/work/started")))
        os.killpg(process.pid, number)
        process.communicate()
    assert process.returncode == 128 + number
    assert note.read_text() == "ended\n"
    assert of_project(folder) == []


def test_a_killed_command_is_a_failed_stage(codex: Codex, folder: Path) -> None:
    write(folder, '[stages.a]\ncommand = "setsid sleep 1000 & kill -KILL $$"\noutputs = ["o"]\n')
    answer = codex("run", "--json", cwd=folder)
    assert (answer.exit, answer.json["stages"][0]["state"]) == (1, "failed")
    assert answer.json["errors"][0]["message"] == "stage 'a' ended with SIGKILL"
    assert of_project(folder) == []


REFUSED = """python -c 'import socket
try: socket.create_connection(("198.51.100.7", 443))
except BaseException: pass'"""


@pytest.fixture
def full_disk(folder: Path) -> list[str]:
    """Words before a command in which the folder ``full`` is on a disk that has no byte left."""
    (folder / "full").mkdir()
    fill = (
        'mount -t tmpfs -o size=64k full "$0/full" && : > "$0/full/ledger.ndjson"'
        ' && { cat /dev/zero > "$0/full/rest" 2>/dev/null; exec "$@"; }'
    )
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", fill, str(folder)]


def test_a_ledger_that_takes_nothing_stops_the_stage(folder: Path, full_disk: list[str]) -> None:
    stages = f"[stages.a]\ncommand = '''{REFUSED}; sleep 1000'''\noutputs = [\"o\"]\n"
    write(folder, stages)
    (folder / ".codex").mkdir()
    (folder / ".codex/ledger.ndjson").touch()
    bound = 'mount --bind full/ledger.ndjson .codex/ledger.ndjson && exec "$@"'
    words = [*full_disk, "sh", "-c", bound, "sh", *CODEX, "run", "--json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["stages"][0]["state"]) == (1, "failed")
    assert answer["errors"][0]["code"] == "ledger.unavailable"
    assert "No space left on device" in answer["errors"][0]["message"]
    assert of_project(folder) == []


def test_a_ledger_that_takes_nothing_stops_a_sealed_command(folder: Path, full_disk: list[str]) -> None:
    words = [
        *full_disk,
        "env",
        f"XDG_STATE_HOME={folder}/full",
        *CODEX,
        "sealed",
        "--",
        "sh",
        "-c",
        f"{REFUSED}; sleep 1000",
    ]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "could not be appended to the ledger" in done.stderr
    assert "No space left on device" in done.stderr


def test_every_refusal_of_programs_side_by_side_is_in_the_ledger(codex: Codex, folder: Path) -> None:
    code = """
import os, socket
for _ in range(4):
    os.fork()
for port in range(1, 11):
    try:
        socket.create_connection(("198.51.100.7", port))
    except PermissionError:
        pass
"""
    (folder / "many.py").write_text(code)
    write(
        folder, '[stages.a]\ncommand = "python many.py; sleep 1; echo x > o"\ninputs = ["many.py"]\noutputs = ["o"]\n'
    )
    assert codex("run", cwd=folder).exit == 0
    entries = list(ledger.read(folder / ".codex/ledger.ndjson"))
    assert sum(int(str(entry.body.get("times", 1))) for entry in entries) == 160
    record = json.loads((folder / ".codex/records/a.json").read_text())
    assert len(record["decisions"]) == 10
    seen = record["observed"]["attestation"]
    assert (seen["ledger_entries"], seen["ledger_head"]) == (len(entries), entries[-1].hash)


def test_a_bundle_attests_what_was_enforced_around_every_stage_behind_it(codex: Codex, folder: Path) -> None:
    model = "mkdir m && cp weights m/model.safetensors && echo '{}' > m/config.json"
    stages = f"[stages.make]\ncommand = '''{model}'''\ninputs = [\"weights\"]\noutputs = [\"m\"]\n"
    stages += '[stages.package]\nuses = "deploy.package"\ninputs = ["m"]\noutputs = ["bundle"]\nwith = { name = "m" }\n'
    (folder / "weights").write_bytes((2).to_bytes(8, "little") + b"{}")
    write(folder, stages)
    answer = codex("run", cwd=folder)
    assert answer.exit == 0, answer.err
    (attestation,) = codex("bundle", "inspect", "bundle", "--json", cwd=folder).json["attestations"]
    assert attestation["enforced"]["guard"] == "kernel"
    made = attestation["stages"]["make"]
    assert (made["guard"], made["interfaces"], made["routes"], made["attempts"]) == ("kernel", ["lo"], [], 0)
    assert codex("verify", "bundle", cwd=folder).exit == 0
