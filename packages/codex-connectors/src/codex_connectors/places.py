"""What the P of ``codex store`` names: a place in a store of the project, a local path, or a store URL with a key."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_connectors.stores import file_root, find_store
from codex_core.storage import PLACE_SCHEME, StoreConfig, check_key, parse_place
from codex_core.store_urls import absolute_store_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://|file:|python:)")
_ROOT = re.compile(r"(python:[^/]*|[a-z0-9]+://[^/]*)/*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Spot:
    """A store, and a key in it (empty: all of it). ``named`` if it is a store of the project."""

    store: StoreConfig
    key: str
    named: bool = False

    def __str__(self) -> str:
        if self.named:
            return f"{PLACE_SCHEME}{self.store.name}" + (f"/{self.key}" if self.key else "")
        if self.store.url.startswith("file:"):
            return os.fspath(file_root(self.store.url) / self.key)
        return self.store.url + (f"/{self.key}" if self.key else "")

    def below(self, name: str) -> Spot:
        """The spot ``name`` in this folder."""
        return Spot(self.store, f"{self.key}/{name}" if self.key else name, self.named)


def find_spot(text: str, stores: Mapping[str, StoreConfig], folder: Path) -> Spot:
    """What ``text`` names; relative paths are below ``folder``.

    A local path's links are followed, as for any other program: it is the person's own choice, not a key of a store.
    """
    if text.startswith(PLACE_SCHEME):
        place = parse_place(text)
        return Spot(find_store(stores, place.store), place.key, named=True)
    if not _URL.match(text):
        return _local(folder / text)
    if text.startswith("file:"):
        return _local(file_root(absolute_store_url(text, folder)))
    found = _ROOT.fullmatch(text)
    root, key = (found[1], found[2].removesuffix("/")) if found else (text, "")
    return Spot(StoreConfig(root, absolute_store_url(root, folder)), check_key(key) if key else "")


def _local(path: Path) -> Spot:
    """An existing folder is a store of its own; anything else is an object in the folder that holds it."""
    real = Path(os.path.realpath(path))
    folder, key = (real, "") if real.is_dir() else (real.parent, real.name)
    return Spot(StoreConfig(os.fspath(folder), folder.as_uri()), key)
