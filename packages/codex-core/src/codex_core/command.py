"""Commands: how a package tells the front door what it offers, and what a command hands back to be shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_core.errors import Problem


@dataclass(frozen=True)
class Command:
    """One leaf of the command line, as the command index lists it.

    ``name`` is all its words (``store ls``), ``summary`` one line. ``app`` is ``module:object`` of the typer app that
    answers the whole line from its first word on; it is imported only when the command is used.
    """

    name: str
    summary: str
    app: str


@dataclass(frozen=True)
class Commands:
    """What an entry point of ``codex.commands`` names: the commands that one distribution brings."""

    leaves: tuple[Command, ...]
    contract: int = 1


@dataclass(frozen=True)
class Reply:
    """What a command returns: ``body`` are the members of its ``--json`` object besides schema, exit and errors.

    ``text`` is what a person reads on stdout instead; ``errors`` also go to stderr.
    """

    body: Mapping[str, object]
    text: str = ""
    exit: int = 0
    errors: tuple[Problem, ...] = field(default=())
