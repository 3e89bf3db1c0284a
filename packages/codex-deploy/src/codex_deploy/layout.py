"""The OCI image layout: descriptors, manifests and the index, and the one form in bytes that each of them has here.

Sources: the OCI image specification 1.1, image-layout.md, manifest.md, image-index.md, descriptor.md. All JSON is
canonical (RFC 8785), so that the bytes follow from what they say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from codex_core.digest import canonical_json, digest_bytes
from codex_core.errors import DigestError, UsageError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LAYOUT_FILE, INDEX_FILE, BLOBS = "oci-layout", "index.json", "blobs/sha256"
LAYOUT_BYTES = canonical_json({"imageLayoutVersion": "1.0.0"})
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
EMPTY_TYPE, EMPTY_BYTES = "application/vnd.oci.empty.v1+json", b"{}"
REF_NAME = "org.opencontainers.image.ref.name"
TITLE = "org.opencontainers.image.title"

LARGEST_DOCUMENT = 2**24
"""The most bytes that a manifest, a config, the index or a statement may have; each is read whole."""

T = TypeVar("T")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*")
_LONGEST_NAME = 128


@dataclass(frozen=True)
class Descriptor:
    """What a blob is, and which one: media type, digest, size in bytes."""

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The object that a manifest or an index holds."""
        optional = {"artifactType": self.artifact_type, "annotations": dict(self.annotations)}
        required = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return {**required, **{key: value for key, value in optional.items() if value}}

    @classmethod
    def of(cls, media_type: str, content: bytes, **annotations: str) -> Descriptor:
        """The descriptor of the blob ``content``."""
        return cls(media_type, digest_bytes(content), len(content), annotations=annotations)


@dataclass(frozen=True)
class Manifest:
    """An image manifest: an artifact of a type, its config and layers, and which manifest it is about."""

    artifact_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The blob that this manifest is."""
        optional = {"subject": self.subject and self.subject.to_json(), "annotations": dict(self.annotations)}
        required = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": self.artifact_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        return canonical_json({**required, **{key: value for key, value in optional.items() if value}})

    def descriptor(self) -> Descriptor:
        """The descriptor of this manifest."""
        content = self.to_bytes()
        return Descriptor(MANIFEST_TYPE, digest_bytes(content), len(content), self.artifact_type)


EMPTY = Descriptor.of(EMPTY_TYPE, EMPTY_BYTES)
"""The config of an artifact that has none (manifest.md, Guidance for an Empty Descriptor)."""


def index_bytes(manifests: Sequence[Descriptor]) -> bytes:
    """index.json for these manifests."""
    entries = [manifest.to_json() for manifest in manifests]
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})


def read_index(content: bytes) -> tuple[Descriptor, ...]:
    """The manifests that ``content`` names; VerificationError unless it is index.json in its one form."""
    data = read_json(content)
    try:
        manifests = tuple(_descriptor(entry) for entry in data["manifests"])
        expected = index_bytes(manifests)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VerificationError(f"it is no OCI image index: {_reason(error)}") from error
    return _canonical(manifests, content, expected)


def read_manifest(content: bytes) -> Manifest:
    """The manifest that ``content`` is; VerificationError unless it is one in its one form."""
    data = read_json(content)
    try:
        subject = data.get("subject")
        manifest = Manifest(
            str(data["artifactType"]),
            _descriptor(data["config"]),
            tuple(_descriptor(layer) for layer in data["layers"]),
            None if subject is None else _descriptor(subject),
            read_texts(data.get("annotations", {})),
        )
        expected = manifest.to_bytes()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise VerificationError(f"it is no OCI image manifest: {_reason(error)}") from error
    return _canonical(manifest, content, expected)


def read_json(content: bytes) -> Any:  # Any: whatever JSON says
    """The value of JSON text in UTF-8; VerificationError if it is none."""
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"it is no JSON: {error}") from error


def read_texts(data: Mapping[str, Any]) -> dict[str, str]:  # Any: whatever JSON says
    """An object whose members are texts; ValueError or AttributeError if it is none."""
    return {key: _text(value) for key, value in data.items()}


def check_name(name: str) -> str:
    """``name`` itself, if it can name a bundle; UsageError if not.

    It stands in ``org.opencontainers.image.ref.name`` and may become a tag, so it has to please both grammars.
    """
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        hint = f"use letters and digits with single '.', '_' and '-' between them, {_LONGEST_NAME} at most"
        raise UsageError(f"{name!r} cannot name a bundle", hint=hint)
    return name


def check_digest(digest: str) -> str:
    """``digest`` itself, if it is written ``sha256:<hex>``; ValueError if not."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no sha256 digest")
    return digest


def blob_path(digest: str) -> str:
    """Where the blob with this digest lies in a layout."""
    return f"{BLOBS}/{digest.removeprefix('sha256:')}"


def _descriptor(data: Mapping[str, Any]) -> Descriptor:  # Any: whatever JSON says
    size = data["size"]
    if type(size) is not int or size < 0:
        raise ValueError(f"{size!r} is no size")
    kind, media_type = data.get("artifactType"), _text(data["mediaType"])
    if not media_type:
        raise ValueError("a blob has no media type")
    return Descriptor(
        media_type,
        check_digest(_text(data["digest"])),
        size,
        None if kind is None else _text(kind),
        read_texts(data.get("annotations", {})),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _canonical(value: T, content: bytes, expected: bytes) -> T:
    if content != expected:
        raise VerificationError("it is not in canonical form", hint="it was edited, or another tool wrote it")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, TypeError | AttributeError):
        return "its JSON has another shape"
    return error.message if isinstance(error, DigestError) else str(error)
