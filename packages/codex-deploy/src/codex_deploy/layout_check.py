"""The check of a layout: every byte of the folder is read once, and none is left that nothing vouches for.

A blob is vouched for by its name, a name by a manifest, the manifests by index.json, and index.json and oci-layout by
being what those manifests make of them. What the manifests say has to follow from the files: each is made again from
what it names, and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.checkpoint import MANIFEST, CheckpointManifest, parse_manifest
from codex_core.errors import UsageError, VerificationError
from codex_deploy.attestation import ARTIFACT_TYPE as ATTESTATION
from codex_deploy.attestation import (
    CHECKPOINT_TYPE,
    REPORT_KINDS,
    STATEMENT,
    STATEMENT_TYPE,
    Statement,
    attestation_layer,
    attestation_manifest,
    read_statement,
)
from codex_deploy.bundle import Layout, index_of, is_layout
from codex_deploy.config import check_model_config
from codex_deploy.flaws import Flaw, Flaws, require_none
from codex_deploy.layout import (
    EMPTY,
    INDEX_FILE,
    LAYOUT_BYTES,
    LAYOUT_FILE,
    TITLE,
    Manifest,
    blob_path,
    read_index,
    read_json,
    read_manifest,
)
from codex_deploy.layout_files import LayoutFiles
from codex_deploy.modelpack import ARTIFACT_TYPE as MODEL
from codex_deploy.modelpack import (
    FILE_PATH,
    LAYER_TYPES,
    MADE_FROM,
    WEIGHT_CONFIG_TYPE,
    WEIGHT_TYPE,
    config_bytes,
    layer,
    made_from_digests,
    model_manifest,
)
from codex_deploy.paths import path_faults

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from codex_core.status import Bundle
    from codex_deploy.layout import Descriptor

_DOCUMENT_TYPES = {
    STATEMENT: STATEMENT_TYPE,
    MANIFEST: CHECKPOINT_TYPE,
    **{kind.title: kind.media_type for kind in REPORT_KINDS},
}
_SCHEMAS = {kind.media_type: kind.schema for kind in REPORT_KINDS}


@dataclass(frozen=True)
class LayoutReport:
    """What a check came to: what the documents say, None if they cannot be followed; what is wrong; each blob's digest.

    ``actual`` has the digests of the blobs that were read, by those in their names.
    """

    layout: Layout | None
    flaws: tuple[Flaw, ...]
    actual: Mapping[str, str]

    @property
    def digest(self) -> str | None:
        """The bundle's digest, where its documents can be followed."""
        return None if self.layout is None else self.layout.digest


def check_layout(folder: Path, *, extra: Collection[str] = ()) -> LayoutReport:
    """Check all of the layout in ``folder``; ``extra`` are names of files that may stand beside it."""
    check = _Check(folder, extra)
    layout = check.read()
    if layout is not None:
        check.compare(layout)
    check.files.finish(complete=layout is not None)
    return LayoutReport(layout, tuple(check.flaws.found), check.files.actual)


def read_layout(folder: Path, *, extra: Collection[str] = ()) -> Layout:
    """What the documents of a layout say, each checked, without reading the model's files.

    UsageError if there is no layout; VerificationError if it does not hold together.
    """
    if not is_layout(folder):
        raise no_bundle(folder)
    check = _Check(folder, extra)
    layout = check.read()
    require_none(check.flaws.found, folder)
    if layout is None:
        raise VerificationError(f"{folder} cannot be followed from its {INDEX_FILE}")
    return layout


def no_bundle(folder: Path) -> UsageError:
    """The error that says that there is no bundle at ``folder``."""
    what = "is no bundle" if folder.exists() else "does not exist"
    return UsageError(f"{folder} {what}", hint="name a folder that `codex bundle create` made")


def open_bundle(folder: Path) -> Bundle:
    """The bundle in ``folder``, as a target is handed it; its errors are those of ``read_layout``."""
    return read_layout(folder).bundle()


class _Check:
    """One check: its files, and the flaws that it has found."""

    def __init__(self, folder: Path, extra: Collection[str]) -> None:
        self.folder = folder
        self.flaws = Flaws()
        self.files = LayoutFiles(folder, self.flaws, extra=extra)

    def read(self) -> Layout | None:
        """Follow the documents from index.json; None if one of them cannot be followed."""
        if self.files.top(LAYOUT_FILE) not in (None, LAYOUT_BYTES):
            self.flaws.add(LAYOUT_FILE, "verify.mismatch", f"it does not say just {LAYOUT_BYTES.decode()}")
        content = self.files.top(INDEX_FILE)
        found = None if content is None else self._index(content)
        if content is None or found is None:
            return None
        model, about = (self._manifest(one) for one in found)
        config = model and self._model(model)
        statement = about and self._statement(about)
        if not (model and about and config and statement):
            return None
        layout = Layout(self.folder, model, about, statement, self._checkpoint(about))
        self._relate(layout, content)
        return layout

    def compare(self, layout: Layout) -> None:
        """Read every file of the model and every report, and compare them with what is said of them."""
        where = blob_path(layout.digest)
        weights = []
        for one in layout.model.layers:
            content = self.files.content(one, where)
            if content is not None and (content.kind == "safetensors") != (one.media_type == WEIGHT_TYPE):
                message = f"{one.annotations[FILE_PATH]} is {content.kind}, and its layer says {one.media_type}"
                self.flaws.add(where, "verify.mismatch", message)
            if content is not None and content.weights is not None:
                weights.append(content.weights)
        config = self.files.document(layout.model.config, where)
        if not self.flaws.found and config != config_bytes(layout.model.layers, weights, _made_from(layout.model)):
            path = blob_path(layout.model.config.digest)
            self.flaws.add(path, "verify.mismatch", "it is not the config that follows from the model's files")
        self._reports(layout)

    def _index(self, content: bytes) -> tuple[Descriptor, ...] | None:
        with self.flaws.about(INDEX_FILE):
            found = read_index(content)
            if [one.artifact_type for one in found] == [MODEL, ATTESTATION]:
                return found
            raise VerificationError("it does not name one model and its attestation, in this order")
        return None

    def _manifest(self, descriptor: Descriptor) -> Manifest | None:
        content = self.files.document(descriptor, INDEX_FILE)
        if content is not None:
            with self.flaws.about(blob_path(descriptor.digest)):
                return read_manifest(content)
        return None

    def _model(self, model: Manifest) -> bytes | None:
        """The model's config, once its manifest is found to be one that could have been made here."""
        where = blob_path(model.descriptor().digest)
        with self.flaws.about(where):
            paths = [one.annotations.get(FILE_PATH, "") for one in model.layers]
            for path, why in path_faults(paths):
                self.flaws.add(where, "verify.path", f"the path {path!r} may not stand in a bundle: {why}")
            config = self.files.document(model.config, where)
            if config is None or any(flaw.path == where for flaw in self.flaws.found):
                return None
            layers = [
                layer(path, one.media_type, one.digest, one.size) for path, one in zip(paths, model.layers, strict=True)
            ]
            if model != model_manifest(layers, config, _made_from(model)):
                raise VerificationError("it is no manifest of a model as bundles have it")
            if unknown := sorted({one.media_type for one in layers} - set(LAYER_TYPES)):
                raise VerificationError(f"it has layers of the unknown type {unknown[0]}")
            if not any(one.media_type == WEIGHT_TYPE for one in layers):
                raise VerificationError("it has no weights")
            with self.flaws.about(blob_path(model.config.digest)):
                check_model_config(config)
            return config
        return None

    def _statement(self, about: Manifest) -> Statement | None:
        self.files.document(EMPTY, blob_path(about.descriptor().digest))
        found = self._document(about, STATEMENT)
        if found is None:
            path = blob_path(about.descriptor().digest)
            self.flaws.add(path, "verify.mismatch", f"it is no attestation that has its {STATEMENT}")
            return None
        with self.flaws.about(found[0]):
            return read_statement(found[1])
        return None

    def _checkpoint(self, about: Manifest) -> CheckpointManifest | None:
        found = self._document(about, MANIFEST)
        if found is not None:
            with self.flaws.about(found[0]):
                return parse_manifest(found[1])
        return None

    def _document(self, about: Manifest, title: str) -> tuple[str, bytes] | None:
        """The path and the bytes of the attestation's document of this title, where it has one."""
        where = blob_path(about.descriptor().digest)
        for one in about.layers:
            if one.annotations.get(TITLE) == title and (content := self.files.document(one, where)) is not None:
                return blob_path(one.digest), content
        return None

    def _relate(self, layout: Layout, index: bytes) -> None:
        """Compare the documents with each other."""
        if index != index_of(layout.model, layout.attestation, layout.statement.name):
            message = "it is not what the manifests and the name in the statement make of it"
            self.flaws.add(INDEX_FILE, "verify.mismatch", message)
        titled = [(one.annotations.get(TITLE, ""), one) for one in layout.attestation.layers]
        types = _DOCUMENT_TYPES
        layers = [attestation_layer(types.get(title, ""), title, one.digest, one.size) for title, one in titled]
        twice = len({title for title, _ in titled}) != len(titled)
        unknown = any(title not in types for title, _ in titled)
        if twice or unknown or layout.attestation != attestation_manifest(layout.model.descriptor(), layers):
            path = blob_path(layout.attestation.descriptor().digest)
            self.flaws.add(path, "verify.mismatch", "it is no attestation about the model of this bundle")
        if layout.checkpoint is not None and not twice:
            self._relate_checkpoint(layout, layout.checkpoint)

    def _relate_checkpoint(self, layout: Layout, checkpoint: CheckpointManifest) -> None:
        """The model folder's files are those that its manifest names: weights may also have come beside it."""
        [path] = [blob_path(one.digest) for one in layout.attestation.layers if one.annotations.get(TITLE) == MANIFEST]
        own = {one.annotations[FILE_PATH] for one in layout.model.layers if one.media_type == WEIGHT_CONFIG_TYPE}
        for name in sorted(own - {entry.path for entry in checkpoint.files}):
            self.flaws.add(path, "verify.mismatch", f"it does not name {name}, which the model has")
        layers = {(one.annotations[FILE_PATH], one.digest, one.size) for one in layout.model.layers}
        for entry in checkpoint.files:
            if (entry.path, entry.sha256, entry.size) not in layers:
                self.flaws.add(path, "verify.mismatch", f"it names {entry.path}, which is not so in the bundle")
        if made_from_digests(checkpoint.made_from) != _made_from(layout.model):
            self.flaws.add(path, "verify.mismatch", "it says that the model was made from something else")

    def _reports(self, layout: Layout) -> None:
        where = blob_path(layout.attestation.descriptor().digest)
        for one in layout.attestation.layers:
            content = self.files.content(one, where)
            schema = _SCHEMAS.get(one.media_type)
            if schema is not None and content is not None and content.schema != schema:
                self.flaws.add(blob_path(one.digest), "verify.mismatch", f"it is no report of {schema}")


def _made_from(model: Manifest) -> dict[str, object]:
    """What the model was made from, as its manifest says it; VerificationError if that is no JSON object."""
    if MADE_FROM not in model.annotations:
        return {}
    found = read_json(model.annotations[MADE_FROM].encode())
    if not isinstance(found, dict):
        raise VerificationError(f"its annotation {MADE_FROM} is no JSON object")
    return found
