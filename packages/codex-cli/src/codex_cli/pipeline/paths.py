"""What may stand in ``inputs`` and ``outputs``: relative paths that stay inside the pipeline's folder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from codex_cli.pipeline import state

if TYPE_CHECKING:
    from pathlib import Path


def path_mistake(path: str, root: Path) -> tuple[str, str] | None:
    """What is wrong with ``path`` and what to write instead; None if nothing is."""
    parts = path.split("/")
    if path.startswith("/"):
        return f"{path!r} is an absolute path", "write it relative to the pipeline file's folder"
    if ".." in parts:
        return f"{path!r} leaves the pipeline file's folder", "move it inside, or pull it from a store"
    if path in {"", "."}:
        return f"{path!r} names the pipeline file's whole folder", "name the files and folders that are meant"
    if any(part in {"", "."} for part in parts) or "\0" in path:
        return f"{path!r} has an empty part or a '.'", f"write {os.path.normpath(path.replace(chr(0), ''))!r}"
    if parts[0] == state.NAME:
        return f"{path!r} lies in the state folder", "choose another name"
    try:
        return _link_mistake(parts, root)
    except OSError as error:
        return f"{path[:40]!r} is no path that this file system takes: {error.strerror}", "choose a shorter name"


def _link_mistake(parts: list[str], root: Path) -> tuple[str, str] | None:
    """A link on the way would lead out of the folder, or to another name for the same thing."""
    for count in range(1, len(parts) + 1):
        step = root.joinpath(*parts[:count])
        if step.is_symlink():
            return f"{'/'.join(parts[:count])!r} is a link", "name what it points to, inside the pipeline file's folder"
    return None
