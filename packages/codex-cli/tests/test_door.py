"""What the front door promises: quick answers on the standard library, right exit codes, and a hint for every typo."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import codex_cli
import codex_core
from codex_cli import door, siblings
from codex_cli.commands_index import load_index

Codex = Callable[..., tuple[int, str, str]]

HEAVY = (
    "typer",
    "click",
    "rich",
    "pydantic",
    "pydantic_core",
    "torch",
    "dataclasses",
    "typing",
    "re",
    "json",
    "importlib.metadata",
)
LONE = "import sys; sys.path[:0] = sys.argv.pop(1).split(':')\nfrom codex_cli.door import main; sys.exit(main())"


def lone_codex(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """codex-cli with codex-core and nothing else: Python runs without its site-packages."""
    path = ":".join(str(Path(str(package.__file__)).parents[1]) for package in (codex_cli, codex_core))
    command = [sys.executable, "-S", "-c", LONE, path, *words]
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return subprocess.run(command, check=False, env=environ, capture_output=True, text=True)


def run_python(program: str, words: list[str], environ: dict[str, str]) -> str:
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def test_version_is_one_line(codex: Codex) -> None:
    assert codex("--version") == (0, f"codex {codex_cli.__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_lists_every_command(codex: Codex, words: tuple[str, ...]) -> None:
    code, out, err = codex(*words)
    assert (code, err) == (0, "")
    for name in load_index(os.environ).commands:
        assert all(re.search(rf"\b{word}\b", out) for word in name.split())
    assert max(map(len, out.splitlines())) <= 110


@pytest.mark.parametrize("words", [("ledger",), ("ledger", "--help"), ("ledger", "-h")])
def test_group_lists_its_commands(codex: Codex, words: tuple[str, ...]) -> None:
    expected = (
        "Usage: codex ledger COMMAND ...\n"
        "\n"
        "Commands:\n"
        "  show    List the decisions that were recorded\n"
        "  verify  Check the chain of a ledger\n"
        "\n"
        "codex ledger COMMAND --help shows what a command takes.\n"
    )
    assert codex(*words) == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rnu",), "codex has no command 'rnu'; did you mean 'run'?"),
        (("Status",), "codex has no command 'Status'; did you mean 'status'?"),
        (("zzzz",), "codex has no command 'zzzz'; codex --help lists what there is"),
        (("--verison",), "codex has no option '--verison'; did you mean '--version'?"),
        (("store", "lss"), "codex store has no command 'lss'; did you mean 'ls'?"),
        (("ledger", "--hepl"), "codex ledger has no option '--hepl'; did you mean '--help'?"),
    ],
)
def test_typo_ends_with_2_and_the_nearest_word(codex: Codex, words: tuple[str, ...], message: str) -> None:
    assert codex(*words) == (2, "", f"codex: {message}\n")


@pytest.mark.parametrize(
    ("words", "schema"),
    [(("rnu", "--json"), "codex/1"), (("ledger", "vrify", "--json"), "codex.ledger/1"), (("--json",), "codex/1")],
)
def test_typo_with_json_is_one_object(codex: Codex, words: tuple[str, ...], schema: str) -> None:
    code, out, err = codex(*words)
    answer = json.loads(out)
    assert (code, answer["schema"], answer["exit"]) == (2, schema, 2)
    assert [error["code"] for error in answer["errors"]] == ["usage.invalid"]
    assert err == f"codex: {answer['errors'][0]['message']}; {answer['errors'][0]['hint']}\n"


@pytest.mark.parametrize("words", [["--version"], ["--help"], [], ["ledger"], ["store", "--help"]])
def test_answers_of_the_door_load_next_to_nothing(tmp_path: Path, words: list[str]) -> None:
    program = (
        "import sys; bare = set(sys.modules); from codex_cli.door import main; main(sys.argv[1:])\n"
        f"print('loaded', sorted((set(sys.modules) - bare) & set({HEAVY!r})))"
    )
    environ = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    deadline = time.monotonic() + 20
    while not list((tmp_path / "cache").glob("codex/*")) and time.monotonic() < deadline:
        run_python("from codex_cli.door import main; main(['--help'])", [], environ)
    assert run_python(program, words, environ).endswith("loaded []\n")


@pytest.mark.parametrize("words", [["rnu"], ["store", "lss"], ["rnu", "--json"]])
def test_typos_are_answered_without_the_parser(words: list[str]) -> None:
    program = (
        "import sys; from codex_cli.door import main; main(sys.argv[1:])\n"
        "print(sorted({'typer', 'click', 'rich', 'pydantic', 'torch'} & set(sys.modules)))"
    )
    assert run_python(program, words, dict(os.environ)).endswith("[]\n")


def test_absent_package_is_listed_with_the_line_that_installs_it(tmp_path: Path) -> None:
    done = lone_codex(tmp_path, "store", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Usage: codex store COMMAND ...\n"
        "\n"
        "Commands:\n"
        + "".join(f"  {name.split()[1]:9}  {summary}\n" for name, summary in siblings.COMMANDS["connectors"].items())
        + "\n"
        "Not installed:\n"
        "  store ls, store stat, store get, store put, store fallbacks\n"
        '    pip install --no-index --find-links WHEELHOUSE "codex-cli[connectors]"\n'
        "\n"
        "codex store COMMAND --help shows what a command takes.\n"
    )


def test_using_an_absent_package_ends_with_2_and_the_line_that_installs_it(tmp_path: Path) -> None:
    done = lone_codex(tmp_path, "store", "ls", "store://a/b", "--json")
    line = 'pip install --no-index --find-links WHEELHOUSE "codex-cli[connectors]"'
    answer = json.loads(done.stdout)
    assert done.returncode == 2
    assert answer == {
        "schema": "codex.store.ls/1",
        "exit": 2,
        "errors": [
            {
                "code": "plugin.unknown",
                "message": "codex store ls needs codex-connectors, which is not installed",
                "hint": line,
                "file": None,
                "line": None,
                "column": None,
            }
        ],
    }
    assert done.stderr == f"codex: codex store ls needs codex-connectors, which is not installed; {line}\n"


def test_module_is_the_same_command() -> None:
    script = Path(sys.executable).parent / "codex"
    words = ["ledger", "--help"]
    by_module = subprocess.run([sys.executable, "-m", "codex_cli", *words], capture_output=True, text=True, check=True)
    by_script = subprocess.run([str(script), *words], capture_output=True, text=True, check=True)
    assert by_module.stdout == by_script.stdout


def test_an_interrupt_while_a_run_starts_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text('[stages.a]\ncommand = "true"\n')
    program = """
import os, signal, sys
from codex_cli import door
exec_ = os.execve
def execve(*call):
    os.kill(os.getpid(), signal.SIGINT)
    exec_(*call)
os.execve = execve
sys.argv = ["codex", "run"]
sys.exit(door.main())
"""
    environ = {name: value for name, value in os.environ.items() if name != door.HASH_SEED}
    told = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (130, "", "codex: interrupted\n")


def test_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "codex_cli", "--help"], check=False, stdout=write, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_full_disk_is_said(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "codex_cli", "--help"], check=False, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "codex: cannot write to stdout: No space left on device\n")


@pytest.mark.parametrize("words", ["--help", "rnu", "rnu --json", "ledger verify nowhere", "run nowhere --json"])
@pytest.mark.parametrize(("closed", "other"), [(1, "stderr"), (2, "stdout")])
def test_closed_stream_changes_neither_the_exit_code_nor_the_other_stream(
    codex: Codex, tmp_path: Path, words: str, closed: int, other: str
) -> None:
    code, out, err = codex(*words.split())
    line = f"exec {shlex.quote(sys.executable)} -m codex_cli {words} {closed}>&-"
    done = subprocess.run(["/bin/sh", "-c", line], check=False, cwd=tmp_path / "work", capture_output=True, text=True)
    assert done.returncode == code
    assert {"stdout": done.stdout, "stderr": done.stderr}[other] == {"stdout": out, "stderr": err}[other]
