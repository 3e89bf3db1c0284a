"""What this package offers on the command line."""

from __future__ import annotations

from codex_core.command import Command, Commands

COMMANDS = Commands(
    leaves=(Command("analyze audit", "find what is unfinished in Python code", "codex_analysis.commands:app"),)
)
