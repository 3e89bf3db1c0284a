"""What the command index promises: every plug-in's commands, no broken one in the way, and no stale answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_cli.command_search import find_commands
from codex_cli.commands_index import Entry, Index, load_index
from codex_cli.siblings import COMMANDS as RELEASED

Codex = Callable[..., tuple[int, str, str]]

LIST = """
from codex_core.command import Command, Commands
COMMANDS = Commands((Command({name!r}, "say it", "{module}:app"),))
"""
APP = """
import typer
from codex_core.command import Reply
app = typer.Typer()
shouting = typer.Typer()
app.add_typer(shouting, name="shout")

@shouting.callback()
def all() -> None:
    pass

@shouting.command("loud")
def loud(json: bool = typer.Option(False, "--json")) -> Reply:
    print("a print that should not be here")
    return Reply({"heard": True}, "LOUD")
"""


def add_plugin(site: Path, name: str, source: str, entry: str = "COMMANDS") -> dict[str, str]:
    """Install a distribution made on the fly below ``site``; returns the environment that finds it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[codex.commands]\n{name} = {name}:{entry}\n")
    (site / f"{name}.py").write_text(source)
    return {"PYTHONPATH": str(site)}


def test_commands_of_a_plug_in_are_listed_and_answered(codex: Codex, tmp_path: Path) -> None:
    env = add_plugin(tmp_path / "site", "strange", LIST.format(name="shout loud", module="strange") + APP)
    assert "  shout " in codex("--help", env=env)[1]
    assert codex("shout", "loud", env=env) == (0, "a print that should not be here\nLOUD\n", "")
    assert codex("shout", "loud", "--json", env=env) == (
        0,
        '{"schema": "codex.shout.loud/1", "exit": 0, "errors": [], "heard": true}\n',
        "a print that should not be here\n",
    )


def test_plug_in_that_is_gone_is_forgotten(codex: Codex, tmp_path: Path) -> None:
    env = add_plugin(tmp_path / "site", "strange", LIST.format(name="shout loud", module="strange"))
    assert "  shout " in codex("--help", env=env)[1]
    (tmp_path / "site/strange-1.0.dist-info/entry_points.txt").unlink()
    (tmp_path / "site/strange-1.0.dist-info/METADATA").unlink()
    (tmp_path / "site/strange-1.0.dist-info").rmdir()
    assert "  shout " not in codex("--help", env=env)[1]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
        ("import sys; sys.exit(9)", "SystemExit: 9"),
        ("COMMANDS = 7", "it is a int; name a Commands of codex_core.command"),
        ("", "AttributeError"),
    ],
)
def test_broken_plug_in_breaks_nothing_and_is_named_by_the_doctor(
    codex: Codex, tmp_path: Path, source: str, reason: str
) -> None:
    env = add_plugin(tmp_path / "site", "strange", source)
    assert codex("--help", env=env) == codex("--help")
    code, out, _ = codex("doctor", "--json", env=env)
    (told,) = [check for check in json.loads(out)["checks"] if check["name"] == "plug-in"]
    assert (code, told["status"]) == (0, "warn")
    assert reason in told["message"]
    assert "strange 1.0 (strange:COMMANDS)" in told["message"]


@pytest.mark.parametrize(
    ("leaf", "told"),
    [
        ('Command("run", "mine now", "strange:app")', "'run' is a command of the plug-in 'cli'"),
        ('Command("Shout!", "", "strange:app")', "the name 'Shout!' is not made of words in lower case"),
        ('Command("shout", "", "strange")', "the app 'strange' of 'shout' is not MODULE:NAME"),
        ('"shout"', "'shout' is not a Command of codex_core.command"),
    ],
)
def test_bad_command_of_a_plug_in_is_left_out_and_told(codex: Codex, tmp_path: Path, leaf: str, told: str) -> None:
    source = f"from codex_core.command import Command, Commands\nCOMMANDS = Commands(({leaf},))"
    env = add_plugin(tmp_path / "site", "strange", source)
    assert codex("--help", env=env) == codex("--help")
    checks = json.loads(codex("doctor", "--json", env=env)[1])["checks"]
    messages = [check["message"] for check in checks if check["name"] == "plug-in"]
    assert messages == [f"a command of the plug-in 'strange' is not used: {told}"]


def test_stranger_cannot_take_our_own_commands_away(codex: Codex, tmp_path: Path) -> None:
    env = add_plugin(tmp_path / "site", "cli", LIST.format(name="run", module="cli"))
    assert codex("--help", env=env) == codex("--help")
    assert codex("ledger", "--help", env=env)[0] == 0


def test_app_that_cannot_be_loaded_is_an_error_with_its_place(codex: Codex, tmp_path: Path) -> None:
    env = add_plugin(tmp_path / "site", "strange", LIST.format(name="shout loud", module="nowhere"))
    told = (
        "codex: the command 'shout loud' cannot be loaded from nowhere:app: No module named 'nowhere'; "
        "`codex doctor` lists what is installed and broken\n"
    )
    assert codex("shout", "loud", env=env) == (2, "", told)


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_home_that_cannot_be_written_to_is_no_hindrance(codex: Codex, home: str) -> None:
    assert codex("--help", env={"HOME": home, "XDG_CACHE_HOME": ""}) == codex("--help")


def test_commands_of_this_release_are_what_the_siblings_bring(tmp_path: Path) -> None:
    found = {entry.name: entry.summary for entry in load_index({"XDG_CACHE_HOME": str(tmp_path)}).commands.values()}
    installed = {command.name for command in find_commands().commands}
    for commands in RELEASED.values():
        assert {name: found[name] for name in commands} == commands
        assert installed.isdisjoint(commands) or installed >= set(commands)


def test_longest_path_ends_at_the_first_word_that_leads_nowhere() -> None:
    index = Index([Entry("run", ""), Entry("store ls", ""), Entry("store put", "")])
    assert index.longest_path(["store", "ls", "x"]) == ["store", "ls"]
    assert index.longest_path(["store", "x", "ls"]) == ["store"]
    assert index.longest_path(["stor"]) == []
    assert {word: [entry.name for entry in entries] for word, entries in index.below(["store"]).items()} == {
        "ls": ["store ls"],
        "put": ["store put"],
    }
