"""The commands that this distribution brings, listed without importing them."""

from __future__ import annotations

from codex_core.command import Command, Commands

_APP = "codex_deploy.commands:app"

COMMANDS = Commands(
    leaves=(
        Command("verify", "check every byte of a bundle, a deployment, a run or a checkpoint", _APP),
        Command("bundle create", "pack a model folder and further files as an OCI layout", _APP),
        Command("bundle inspect", "check a bundle, and show what it holds and what attests to it", _APP),
        Command("bundle verify", "the same as verify", _APP),
        Command("deploy plan", "show what deploying a bundle to a target would do, and why", _APP),
        Command("deploy apply", "deploy a bundle to a target", _APP),
        Command("deploy status", "show what stands at a target, verified", _APP),
    )
)
