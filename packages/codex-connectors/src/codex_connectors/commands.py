"""``codex store``: list, look at, get and put what stores hold, and show their fallbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from codex_connectors import store_commands
from codex_core.command import Reply

_SETTINGS = {"help_option_names": ["--help", "-h"]}

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=_SETTINGS
)
store = typer.Typer(rich_markup_mode=None, context_settings=_SETTINGS, help="What stores hold.", no_args_is_help=True)
app.add_typer(store, name="store")


P = Annotated[str, typer.Argument(metavar="P", help="store://NAME[/KEY], a local path, or a store URL.")]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object on stdout.")]
UseFallback = Annotated[
    bool, typer.Option("--fallback", help="Read the first usable fallback if the store is refused or not there.")
]


@store.command("ls")
def ls(
    place: P,
    fallback: UseFallback = False,
    digests: Annotated[
        bool | None,
        typer.Option(help="Read objects whose digest the store does not know; without --json, not unless asked."),
    ] = None,
    json: Json = False,
) -> Reply:
    """List what a store holds at and below P."""
    return store_commands.ls(place, use_fallback=fallback, digests=json if digests is None else digests)


@store.command("stat")
def stat(place: P, fallback: UseFallback = False, json: Json = False) -> Reply:
    """Show one object, with its digest."""
    return store_commands.stat(place, use_fallback=fallback)


@store.command("get")
def get(
    place: P,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A new file or folder, or a folder for an object.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    fallback: UseFallback = False,
    json: Json = False,
) -> Reply:
    """Copy an object, or all below a prefix, to PATH."""
    return store_commands.get(place, path, force=force, use_fallback=fallback)


@store.command("put")
def put(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to store.")],
    place: P,
    if_absent: Annotated[bool, typer.Option("--if-absent", help="Fail if there is such an object already.")] = False,
    json: Json = False,
) -> Reply:
    """Store a file as P; in P under its own name if P is a store, a folder, or ends with a slash."""
    return store_commands.put(path, place, if_absent=if_absent)


@store.command("fallbacks")
def fallbacks(place: P, json: Json = False) -> Reply:
    """Show which other stores hold the same things, and whether each could be used; no network is touched."""
    return store_commands.fallbacks(place)
