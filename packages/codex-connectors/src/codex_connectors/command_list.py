"""The commands that this distribution brings, listed without importing them."""

from __future__ import annotations

from codex_core.command import Command, Commands

_APP = "codex_connectors.commands:app"

COMMANDS = Commands(
    leaves=(
        Command("store ls", "list the objects below a place in a store", _APP),
        Command("store stat", "show the size and digest of one object", _APP),
        Command("store get", "copy an object, or all below a place, to a local path", _APP),
        Command("store put", "copy a local file or folder to a place in a store", _APP),
        Command("store fallbacks", "show which other stores hold the same things", _APP),
    )
)
