"""The code behind plug-ins: the digest of the files that they are made of, as they are installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.digest import FileEntry, digest_bytes, digest_entries, digest_file, digest_json
from codex_core.errors import DigestError

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    return digest_entries(_python_files(home.parent))


def _python_files(package: Path) -> Iterator[FileEntry]:
    """What else lies in a package, such as data, bytecode or links to folders, is not read."""
    for folder, _, names in os.walk(package):
        for path in (Path(folder, name) for name in names if name.endswith(".py")):
            content = path.read_bytes()
            yield FileEntry(path.relative_to(package).as_posix(), len(content), digest_bytes(content))


def _home(module: str) -> Path:
    """The file of the outermost regular package, or module, that ``module`` lies in: a namespace package has none."""
    parts = module.split(".")
    names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    home = next((file for file in files if file is not None), None)
    if home is None:
        raise DigestError(f"the module {module!r} comes from no file, so its code has no digest")
    return Path(home)
