"""``codex train``: start a run on one's own data, resume it, list runs, and show one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codex_core.command import Reply
from codex_train import train_commands

_SETTINGS = {"help_option_names": ["--help", "-h"]}

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_SETTINGS
)
train = typer.Typer(rich_markup_mode=None, context_settings=_SETTINGS, help="Training runs.", no_args_is_help=True)
app.add_typer(train, name="train")


RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]


@train.command("start")
def start(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The folder to train on.")],
    folder: Annotated[Path, typer.Option("--dir", metavar="RUN", help="A new folder for the run.")],
    task: Annotated[str, typer.Option("--task", metavar="NAME", help="What to train.")] = "lm",
    param: Annotated[
        list[str] | None, typer.Option("--param", "-P", metavar="KEY=VALUE", help="A parameter of the task.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="As -P threads=N.")] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="What all randomness begins with.")] = 0,
    json: Json = False,
) -> Reply:
    """Train a task on a folder of data; SIGINT and SIGTERM save the run and end it."""
    given = [*(param or []), *([] if threads is None else [f"threads={threads}"])]
    return train_commands.start(task, data, folder, given, seed=seed)


@train.command("resume")
def resume(
    folder: RunArgument,
    allow_inexact: Annotated[
        bool, typer.Option("--allow-inexact", help="Go on even if the bits will differ, and record that.")
    ] = False,
    json: Json = False,
) -> Reply:
    """Go on with a run that `codex train start` began, from its newest checkpoint."""
    return train_commands.resume(folder, allow_inexact=allow_inexact)


@train.command("list")
def list_runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to look; else the project's .codex/runs, and runs.")
    ] = None,
    json: Json = False,
) -> Reply:
    """List the runs below a folder."""
    return train_commands.list_runs(folder)


@train.command("show")
def show(folder: RunArgument, json: Json = False) -> Reply:
    """Show what a run is made from, how far it came, and what its last step logged."""
    return train_commands.show(folder)
