"""The commands that this distribution brings, listed without importing them."""

from __future__ import annotations

from codex_core.command import Command, Commands

_APP = "codex_train.commands:app"

COMMANDS = Commands(
    leaves=(
        Command("train start", "train a task on a folder of data, in a new run folder", _APP),
        Command("train resume", "go on with a run from its newest checkpoint", _APP),
        Command("train list", "list the runs below a folder", _APP),
        Command("train show", "show a run: what it is made from, how far it came", _APP),
    )
)
