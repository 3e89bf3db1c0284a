"""``codex verify``, ``codex bundle`` and ``codex deploy``: the words of each command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codex_core.command import Reply
from codex_deploy import bundle_commands, deploy_commands

_SETTINGS = {"help_option_names": ["--help", "-h"]}

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_SETTINGS
)
bundle = typer.Typer(rich_markup_mode=None, context_settings=_SETTINGS, help="Packaged models.", no_args_is_help=True)
deploy = typer.Typer(
    rich_markup_mode=None, context_settings=_SETTINGS, help="Models where they are used.", no_args_is_help=True
)
app.add_typer(bundle, name="bundle")
app.add_typer(deploy, name="deploy")


AnyPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="A bundle, a dir deployment, a run, a checkpoint or a model folder.")
]
BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder of a bundle.")]
Target = Annotated[str, typer.Option("--target", metavar="NAME", help="A target of the nearest codex.toml.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]


@app.command("verify")
def verify(path: AnyPath, json: Json = False) -> Reply:
    """Check every byte of PATH, without a network; ends with 4 if anything is wrong."""
    return bundle_commands.verify_path(path)


@bundle.command("verify")
def verify_bundle(path: AnyPath, json: Json = False) -> Reply:
    """The same as `codex verify`."""
    return bundle_commands.verify_path(path)


@bundle.command("create")
def create(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder that holds model.safetensors.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The bundle; free, or a bundle.")],
    name: Annotated[str, typer.Option("--name", help="The bundle's name.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]...", help="Further files: an evaluation, an audit, a README."),
    ] = None,
    json: Json = False,
) -> Reply:
    """Pack MODEL and FILES as an OCI image layout whose digest follows from their content alone."""
    return bundle_commands.create(model, files or [], output, name)


@bundle.command("inspect")
def inspect(path: BundlePath, json: Json = False) -> Reply:
    """Show what a bundle or a deployment holds, with every byte checked; ends with 4 if anything is wrong."""
    return bundle_commands.inspect(path)


@deploy.command("plan")
def plan(path: BundlePath, target: Target, json: Json = False) -> Reply:
    """Show what `codex deploy apply` would do, and why; nothing is changed."""
    return deploy_commands.plan(path, target)


@deploy.command("apply")
def apply(
    path: BundlePath,
    target: Target,
    plan: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Apply this plan, as `codex deploy plan` told it, or nothing.")
    ] = None,
    json: Json = False,
) -> Reply:
    """Deploy BUNDLE; ends with 77, and the status block on stdout, if the policy refuses it."""
    return deploy_commands.apply(path, target, plan)


@deploy.command("status")
def status(target: Target, json: Json = False) -> Reply:
    """Show what stands at the target, with every byte checked."""
    return deploy_commands.status(target)
