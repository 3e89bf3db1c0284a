"""Where each package of Codex was installed from, and whether it is this project's.

``codex-core`` and ``codex-cli`` exist on the public package index as other people's packages, so that a name alone
says nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from codex_cli.siblings import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Origin:
    """An installed distribution: where it lies (an editable one: its source), and whether our module is from it."""

    name: str
    version: str
    folder: Path
    editable: bool
    ours: bool


def find_origins(path: Sequence[str] | None = None) -> list[Origin]:
    """Every installed distribution with a name of ours, in the order of ``siblings.PACKAGES``; two may share a name."""
    found = importlib.metadata.distributions() if path is None else importlib.metadata.distributions(path=list(path))
    origins = [_origin(name, dist) for dist in found if (name := _normal_name(dist)) in PACKAGES]
    return sorted(origins, key=lambda origin: list(PACKAGES).index(origin.name))


def module_file(name: str) -> Path | None:
    """The ``__init__.py`` that ``import`` of the package ``name`` of ours would load; None where it is absent."""
    spec = find_spec(PACKAGES[name])
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve()


def _origin(name: str, dist: importlib.metadata.Distribution) -> Origin:
    module = module_file(name)
    source = _editable_source(dist)
    folder = Path(str(dist.locate_file(""))).resolve() if source is None else source
    ours = (
        module is not None and _states(module, dist.version) and (_holds(dist, module) or _holds_source(source, module))
    )
    return Origin(name, dist.version, folder, source is not None, ours)


def _normal_name(dist: importlib.metadata.Distribution) -> str:
    """The distribution's name as the packaging specification normalises names."""
    return re.sub(r"[-_.]+", "-", dist.metadata["Name"] or "").lower()


def _states(module: Path, version: str) -> bool:
    about = module.with_name("__about__.py")
    return about.is_file() and f'__version__ = "{version}"' in about.read_text(encoding="utf-8")


def _holds(dist: importlib.metadata.Distribution, module: Path) -> bool:
    files = [file for file in dist.files or () if file.name == module.name]
    return any(Path(str(dist.locate_file(file))).resolve() == module for file in files)


def _holds_source(source: Path | None, module: Path) -> bool:
    return source is not None and module.is_relative_to(source)


def _editable_source(dist: importlib.metadata.Distribution) -> Path | None:
    """The folder of an editable install (PEP 610, direct_url.json)."""
    try:
        record = json.loads(dist.read_text("direct_url.json") or "{}")
    except ValueError:
        return None
    if not record.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(record["url"]).path)).resolve()
