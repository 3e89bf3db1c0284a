"""The commands that codex-cli itself brings, in the order in which help lists them."""

from __future__ import annotations

from codex_core.command import Command, Commands

_APP = "codex_cli.commands:app"

COMMANDS = Commands(
    (
        Command("run", "Run what is stale in a pipeline", _APP),
        Command("plan", "Show what would run, and why", _APP),
        Command("status", "Show where each stage stands", _APP),
        Command("sealed", "Run any command where it can reach no network", "codex_cli.sealed:main"),
        Command("doctor", "Check this installation, this machine and this project", _APP),
        Command("policy show", "List the rules that judge here, each with its file", _APP),
        Command("policy test", "Check that the policy decides as a file expects", _APP),
        Command("policy explain", "Say whether a request may go out, by which rule, and why", _APP),
        Command("ledger show", "List the decisions that were recorded", _APP),
        Command("ledger verify", "Check the chain of a ledger", _APP),
    )
)
