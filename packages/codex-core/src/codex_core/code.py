"""The code behind plug-ins: the digest of the files that they are made of, as they are installed."""

from __future__ import annotations

import sys
from pathlib import Path

from codex_core.digest import digest_entries, digest_file, digest_json, list_folder
from codex_core.errors import DigestError


def code_digest(*plug_ins: object) -> str:
    """The digest of the code of these objects, whose order does not change it.

    It is that of the ``.py`` files of the package that an object's class comes from, or of its module where that lies
    in none. DigestError for a class that comes from no file.
    """
    found = sorted({_digest(_home(type(plug_in).__module__)) for plug_in in plug_ins})
    return found[0] if len(found) == 1 else digest_json(found)


def _digest(home: Path) -> str:
    if home.name != "__init__.py":
        return digest_file(home)
    return digest_entries(entry for entry in list_folder(home.parent) if entry.path.endswith(".py"))


def _home(module: str) -> Path:
    """The file of the outermost regular package, or module, that ``module`` lies in: a namespace package has none."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    home = next((file for file in files if file is not None), None)
    if home is None:
        raise DigestError(f"the module {module!r} comes from no file, so its code has no digest")
    return Path(home)
