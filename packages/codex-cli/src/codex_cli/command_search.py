"""Finding the commands that are installed, behind the entry points of ``codex.commands``."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from codex_cli.command_list import COMMANDS
from codex_cli.siblings import COMMANDS as RELEASED
from codex_core.command import Command
from codex_core.errors import PluginError, PluginUnknown
from codex_core.install import install_line
from codex_core.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codex_core.command import Commands

OWN = "cli"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(?: [a-z0-9][a-z0-9-]*)*")
_APP = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Found:
    """The commands, each name once; the files whose lists they stand in; and why others are not among them.

    ``broken`` are the plug-ins that could not be loaded, ``faults`` sentences about single commands.
    """

    commands: tuple[Command, ...]
    files: tuple[str, ...]
    broken: tuple[str, ...]
    faults: tuple[str, ...]


def find_commands() -> Found:
    """What is installed. codex-cli's own commands come first and need no entry point, so nothing can take them away."""
    registry = Registry("codex.commands")
    lists = {OWN: COMMANDS}
    broken: list[str] = []
    for name in sorted(registry.names(), key=lambda name: [*RELEASED, name].index(name)):
        try:
            lists.setdefault(name, registry.load(name))
        except PluginError:
            broken.append(name)
    commands, faults = _merge(lists)
    return Found(commands, tuple(_files(lists.values())), tuple(broken), faults)


def refuse_absent(name: str, extra: str) -> NoReturn:
    """Say why the command ``name`` of this release is not among what was found; ``extra`` is its plug-in."""
    registry = Registry("codex.commands")
    if extra not in registry.names():
        message = f"codex {name} needs codex-{extra}, which is not installed"
        raise PluginUnknown(message, hint=install_line(extra))
    registry.load(extra)  # raises, with the reason, if it is broken
    raise PluginError(f"the installed codex-{extra} has no command {name!r}", hint=install_line(extra))


def _merge(lists: dict[str, Commands]) -> tuple[tuple[Command, ...], tuple[str, ...]]:
    """Each command once: the first list that names it has it."""
    owners: dict[str, str] = {}
    kept: list[Command] = []
    faults: list[str] = []
    for owner, commands in lists.items():
        for command in commands.leaves:
            fault = _fault(command, owners)
            if fault:
                faults.append(f"a command of the plug-in {owner!r} is not used: {fault}")
            else:
                owners[command.name] = owner
                kept.append(command)
    return tuple(kept), tuple(faults)


def _fault(command: object, owners: dict[str, str]) -> str:
    if not isinstance(command, Command) or not all(isinstance(text, str) for text in vars(command).values()):
        return f"{command!r} is not a Command of codex_core.command"
    if not _NAME.fullmatch(command.name):
        return f"the name {command.name!r} is not made of words in lower case"
    if not _APP.fullmatch(command.app):
        return f"the app {command.app!r} of {command.name!r} is not MODULE:NAME"
    if command.name in owners:
        return f"{command.name!r} is a command of the plug-in {owners[command.name]!r}"
    return ""


def _files(lists: Iterable[Commands]) -> Iterator[str]:
    """The files of the modules in which the lists stand."""
    for commands in lists:
        for module in list(sys.modules.values()):
            names = getattr(module, "__dict__", {})
            if any(value is commands for value in names.values()) and isinstance(names.get("__file__"), str):
                yield names["__file__"]
