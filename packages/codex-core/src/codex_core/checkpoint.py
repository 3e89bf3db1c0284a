"""Checkpoints and model folders: the manifest that names every file with its digest, and what it was made from.

A folder holds its files and ``manifest.json``, the canonical JSON of

    {"schema": "codex.checkpoint/1", "step": n, "files": [[path, size, digest], ..],
     "made_from": {..}, "environment": {..}}

``made_from`` (task, data, code, params, seed) decides the weights on one machine; ``environment`` (threads, versions,
processor) is what else their bits depend on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.digest import FileEntry, canonical_json, digest_stream, open_regular, sort_entries, walk_files
from codex_core.errors import DigestError, Problem, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = "codex.checkpoint/1"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class CheckpointManifest:
    """What a checkpoint or a model folder holds, after how many steps, and what it was made from."""

    step: int
    files: tuple[FileEntry, ...]
    made_from: Mapping[str, object]
    environment: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """The object that manifest.json holds."""
        return {
            "schema": SCHEMA,
            "step": self.step,
            "files": [[entry.path, entry.size, entry.sha256] for entry in sort_entries(self.files)],
            "made_from": dict(self.made_from),
            "environment": dict(self.environment),
        }


def manifest_bytes(manifest: CheckpointManifest) -> bytes:
    """The bytes of manifest.json."""
    return canonical_json(manifest.to_json()) + b"\n"


def read_manifest(folder: Path) -> CheckpointManifest:
    """The manifest of ``folder``; VerificationError if it has none, or none that holds together."""
    path = folder / MANIFEST
    try:
        with open_regular(path) as stream:
            text = stream.read()
    except (OSError, DigestError) as error:
        raise VerificationError(f"{path} is no manifest of a checkpoint: {error}") from error
    return parse_manifest(text, name=str(path))


def parse_manifest(text: bytes, *, name: str = MANIFEST) -> CheckpointManifest:
    """The manifest with the bytes ``text``, which an error calls ``name``; VerificationError if it is none."""
    try:
        data = json.loads(text)
        files = tuple(FileEntry(str(path), int(size), str(digest)) for path, size, digest in data["files"])
        manifest = CheckpointManifest(int(data["step"]), files, dict(data["made_from"]), dict(data["environment"]))
        canonical = manifest_bytes(manifest)
        outside = next((entry.path for entry in files if not _is_inside(entry.path)), None)
    except (DigestError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError(f"{name} is no manifest of a checkpoint: {error}") from error
    if outside is not None:
        raise VerificationError(f"{name} names {outside!r}, which is no path inside of its folder")
    if data.get("schema") != SCHEMA or text != canonical:
        raise VerificationError(f"{name} is not the canonical manifest of a checkpoint", hint="it was edited or cut")
    return manifest


def check_folder(folder: Path, manifest: CheckpointManifest) -> Iterator[tuple[str, Problem]]:
    """Every file of ``folder`` that is not as ``manifest`` says: its path, and what is wrong with it."""
    for path in sorted(set(walk_files(folder)) - {MANIFEST} - {entry.path for entry in manifest.files}):
        yield path, Problem("verify.unexpected", f"{path} is not in the manifest")
    yield from check_files(folder, manifest)


def check_files(folder: Path, manifest: CheckpointManifest) -> Iterator[tuple[str, Problem]]:
    """As ``check_folder``, for who reads the files of ``manifest`` and no others: what lies beside them is not told."""
    for entry in manifest.files:
        if (problem := _mismatch(folder, entry)) is not None:
            yield entry.path, problem


def _is_inside(path: str) -> bool:
    return {"", ".", ".."}.isdisjoint(path.split("/"))


def _mismatch(folder: Path, entry: FileEntry) -> Problem | None:
    try:
        with open_regular(folder / entry.path) as stream:
            digest, size = digest_stream(stream), stream.tell()
    except (FileNotFoundError, NotADirectoryError):
        return Problem("verify.missing", f"{entry.path} is missing")
    if digest == entry.sha256 and size == entry.size:
        return None
    if digest == entry.sha256:
        return Problem("verify.mismatch", f"{entry.path} has {size} bytes, and the manifest says {entry.size}")
    return Problem("verify.mismatch", f"{entry.path} has the digest {digest}, and the manifest says {entry.sha256}")
