"""The script that a run is started from: its file and the user's own modules that it has imported, by their digests."""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.digest import digest_bytes, digest_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType

    Modules = Mapping[str, ModuleType]

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_LIBRARY = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))
_PROGRAMS = tuple(Path(prefix) / "bin" for prefix in (sys.prefix, sys.base_prefix))


@dataclass(frozen=True)
class Script:
    """The folder of the running script, and the digest of each file, by its path seen from there."""

    folder: Path
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest of all of it, the same wherever the folder is."""
        return digest_json(dict(self.files))

    def changes(self, before: Mapping[str, str]) -> tuple[str, ...]:
        """Which of the files that there were ``before`` are not the same now; what is new does not count."""
        now = {path: _digest(self.folder / path) for path in before}
        return tuple(
            f"{path} {'changed' if now[path] else 'is gone'}" for path in sorted(before) if now[path] != before[path]
        )

    def added(self, known: Mapping[str, str], modules: Modules = sys.modules) -> dict[str, str]:
        """The files of what was imported besides those that are ``known``: some imports happen in the loop."""
        new = {path: _digest(self.folder / path) for path in _own_files(self.folder, modules) if path not in known}
        return {path: digest for path, digest in new.items() if digest is not None}


def find_script(modules: Modules = sys.modules) -> Script | None:
    """The script that runs in this process; None where there is none of the user's, as in a notebook or a test.

    What is installed is no part of it: its versions are in the environment, or another package's business.
    """
    main = _own_file(modules.get("__main__"))
    if main is None or Path(main).parent in _PROGRAMS:
        return None
    nothing = Script(Path(main).parent, {})
    return Script(nothing.folder, nothing.added({}, modules))


def _own_files(folder: Path, modules: Modules) -> Iterator[str]:
    for module in tuple(modules.values()):
        if (file := _own_file(module)) is not None:
            yield os.path.relpath(file, folder)


def _own_file(module: ModuleType | None) -> str | None:
    """Where a module of the user's was found, which may be a link; None for any other. Text: there are thousands."""
    name = getattr(module, "__file__", None)
    if not isinstance(name, str) or any(part in name for part in _INSTALLED) or name.startswith(_LIBRARY):
        return None
    return os.path.abspath(name)  # noqa: PTH100 - a link is not followed


def _digest(file: Path) -> str | None:
    """The digest of what stands there; None if nothing does, as for what was read from an archive."""
    try:
        return digest_bytes(file.read_bytes())
    except OSError:
        return None
