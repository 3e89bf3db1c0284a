"""The corpus of a folder: which of its files are trained on and which are held out, one rule for both sides.

A file is held out if the first eight bytes of the SHA-256 of its path (relative, with ``/``, in UTF-8), as a big-endian
number, are divisible by ``held_out``: one file of twenty for 20, whatever else is in the folder. Where that holds for
no file of several, the one with the smallest such digest is held out; a single file is trained on. Training never
opens a held-out file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.digest import open_regular, walk_files
from codex_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Corpus:
    """Paths relative to ``folder``: ``training`` by their bytes, ``held_out`` by the digests of their paths."""

    folder: Path
    training: tuple[str, ...]
    held_out: tuple[str, ...]

    def read(self, paths: Iterable[str], *, limit: int | None = None) -> bytearray:
        """The bytes of these files, one after the other; at most ``limit`` of them."""
        text = bytearray()
        for path in paths:
            if limit is not None and len(text) >= limit:
                break
            with open_regular(self.folder / path) as stream:
                text += stream.read()
        return text[:limit]


def find_corpus(folder: Path, held_out: int) -> Corpus:
    """The files below ``folder``, parted; ConfigError if there are none."""
    if not folder.is_dir():
        raise ConfigError(f"there is no data: {folder} is no folder", hint="name a folder with files to train on")
    paths = sorted(walk_files(folder), key=str.encode)
    if not paths:
        raise ConfigError(f"there is no data: {folder} holds no file", hint="put files to train on into it")
    held = {path for path in paths if path_number(path) % held_out == 0}
    if not held and len(paths) > 1:
        held = {min(paths, key=path_number)}
    training = tuple(path for path in paths if path not in held)
    if not training:
        raise ConfigError(f"every file in {folder} is held out", hint="add files, or raise held_out")
    return Corpus(folder, training, tuple(sorted(held, key=path_number)))


def path_number(path: str) -> int:
    """The number by which the rule decides about ``path``."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big")
