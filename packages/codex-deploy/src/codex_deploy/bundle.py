"""A bundle as it lies in its folder: the model's manifest, the attestation's, and the documents that these name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.errors import VerificationError
from codex_core.status import Bundle
from codex_deploy.attestation import ARTIFACT_TYPE as ATTESTATION
from codex_deploy.blocks import read_block
from codex_deploy.layout import BLOBS, INDEX_FILE, LAYOUT_FILE, REF_NAME, index_bytes, read_json
from codex_deploy.modelpack import ARTIFACT_TYPE as MODEL
from codex_deploy.modelpack import FILE_PATH

if TYPE_CHECKING:
    from collections.abc import Collection

    from codex_core.checkpoint import CheckpointManifest
    from codex_deploy.attestation import Statement
    from codex_deploy.layout import Manifest

STATUS_FILE = "status.json"
"""What a deployment holds besides its layout."""

_BLOBS = Path(BLOBS)
_BLOB_NAME = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Layout:
    """What the documents of a layout say; ``checkpoint`` is the model folder's manifest.json, where it had one."""

    folder: Path
    model: Manifest
    attestation: Manifest
    statement: Statement
    checkpoint: CheckpointManifest | None

    @property
    def digest(self) -> str:
        """The bundle's digest: the model manifest's."""
        return self.model.descriptor().digest

    def resources(self) -> dict[str, str]:
        """What the bundle is made of, by name, with its digests; the attestation is no content, so it is left out."""
        files = {f"files/{layer.annotations[FILE_PATH]}": layer.digest for layer in self.model.layers}
        return {"manifest": self.digest, "config": self.model.config.digest, **files}

    def bundle(self) -> Bundle:
        """The bundle as a target is handed it."""
        return Bundle(self.folder, self.statement.name, self.digest, self.resources())


def index_of(model: Manifest, attestation: Manifest, name: str) -> bytes:
    """index.json: the model under the bundle's name, and what attests to it."""
    named = replace(model.descriptor(), annotations={REF_NAME: name})
    return index_bytes((named, attestation.descriptor()))


def is_layout(folder: Path) -> bool:
    """Whether ``folder`` has a layout's parts, whatever they hold; one of its two files may have been lost."""
    marked = (folder / LAYOUT_FILE).exists() or ((folder / INDEX_FILE).exists() and (folder / BLOBS).is_dir())
    return folder.is_dir() and marked


def holds_only_ours(folder: Path, *, extra: Collection[str] = ()) -> bool:
    """Whether all that is in ``folder`` may be replaced: the parts of one of our layouts, and ``extra`` beside them.

    What anybody else put there, or another tool's layout, is somebody's work. Where our own status stands beside the
    layout it says whose that is, and the index may be damaged.
    """
    if not {item.name for item in folder.iterdir()} <= {LAYOUT_FILE, INDEX_FILE, _BLOBS.parts[0], *extra}:
        return False
    types = _indexed_types(folder / INDEX_FILE)
    if types is None and not (STATUS_FILE in extra and _is_our_status(folder / STATUS_FILE)):
        return False
    if types is not None and not types <= {MODEL, ATTESTATION}:
        return False
    parts = (path.relative_to(folder) for path in (folder / _BLOBS.parts[0]).rglob("*"))
    return all(part == _BLOBS or (part.parent == _BLOBS and _BLOB_NAME.fullmatch(part.name)) for part in parts)


def _indexed_types(index: Path) -> set[object] | None:
    """The artifact types of all that an index names; None if it cannot be read, or names nothing."""
    try:
        return {entry.get("artifactType") for entry in read_json(index.read_bytes())["manifests"]} or None
    except (OSError, VerificationError, LookupError, TypeError, AttributeError):
        return None


def _is_our_status(file: Path) -> bool:
    try:
        read_block(file.read_bytes())
    except (OSError, VerificationError):
        return False
    return True


def is_deployment(folder: Path) -> bool:
    """Whether ``folder`` has the parts of a ``dir`` deployment: a layout and its status."""
    return folder.is_dir() and (folder / STATUS_FILE).exists() and ((folder / BLOBS).is_dir() or is_layout(folder))


def is_layout_or_nothing(place: Path) -> bool:
    """Whether a bundle may be put at ``place``: nothing is there, or an empty folder, or another bundle."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        return False
    if not place.exists() or not any(place.iterdir()):
        return True
    return is_layout(place) and holds_only_ours(place)
