"""The script that a run is started from: the digest of its file, and of the user's own modules beside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.digest import FileEntry, digest_entries, digest_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

_INSTALLED = {"site-packages", "dist-packages"}


def script_digest(modules: Mapping[str, ModuleType] | None = None) -> str | None:
    """The digest of the running script and of what it has imported from its own folder, or from below it.

    None where there is no script, as in a notebook. What is installed is no part of it: its versions are in the
    environment, or another package's business. ``modules`` are those of this process.
    """
    loaded = dict(sys.modules if modules is None else modules)
    script = _file(loaded.get("__main__"))
    if script is None:
        return None
    files = {script, *_own(script.parent, loaded)}
    return digest_entries(
        FileEntry(file.relative_to(script.parent).as_posix(), file.stat().st_size, digest_file(file)) for file in files
    )


def _own(folder: Path, loaded: Mapping[str, ModuleType]) -> Iterator[Path]:
    for module in loaded.values():
        file = _file(module)
        if file is not None and file.is_relative_to(folder) and _INSTALLED.isdisjoint(file.parts):
            yield file


def _file(module: ModuleType | None) -> Path | None:
    """The file of a module, followed through links; None if it has none that can be read now."""
    name = getattr(module, "__file__", None)
    path = Path(name).resolve() if isinstance(name, str) else None
    return path if path is not None and path.is_file() else None
