"""Packaging: a model folder and further files become a bundle, an OCI image layout, all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.checkpoint import MANIFEST, CheckpointManifest, manifest_bytes, read_manifest
from codex_core.digest import walk_files
from codex_core.errors import ContentRefused, Problem, UsageError, VerificationError
from codex_deploy.attestation import (
    CHECKPOINT_TYPE,
    REPORT_KINDS,
    STATEMENT,
    STATEMENT_TYPE,
    ReportKind,
    Statement,
    attestation_layer,
    attestation_manifest,
)
from codex_deploy.blobs import Blob, BlobFolder
from codex_deploy.bundle import index_of, is_layout_or_nothing
from codex_deploy.config import check_model_config
from codex_deploy.drafts import draft_of, publish
from codex_deploy.layout import EMPTY_BYTES, INDEX_FILE, LAYOUT_BYTES, LAYOUT_FILE, check_name
from codex_deploy.layout_check import open_bundle
from codex_deploy.modelpack import config_bytes, layer, layer_type, made_from_digests, model_manifest
from codex_deploy.paths import path_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from codex_core.stage import Attestation
    from codex_core.status import Bundle
    from codex_deploy.layout import Descriptor


_HINT = f"give what is not the model's own after the model; if the model changed, so must its {MANIFEST}"


@dataclass(frozen=True)
class _File:
    """A file to pack: its path in the bundle, where it lies, and whether it is the model's own."""

    path: str
    source: Path
    of_model: bool


@dataclass(frozen=True)
class _Packed:
    """A file and its blob."""

    file: _File
    blob: Blob

    @property
    def report(self) -> ReportKind | None:
        """Which kind of report it is; None for content."""
        schema = None if self.file.of_model else self.blob.content.schema
        return next((kind for kind in REPORT_KINDS if kind.schema == schema), None)


def create_bundle(
    model: Path,
    files: Sequence[Path],
    output: Path,
    *,
    name: str,
    enforced: Attestation | None,
    environment: Mapping[str, str],
    stages: Mapping[str, Attestation] | None = None,
) -> Bundle:
    """Pack the folder ``model`` and ``files`` into the layout folder ``output``, which is free, empty, or a bundle.

    A file of ``files`` stands in the bundle under its own name; an audit or an evaluation goes into the attestation.
    ``enforced``, ``environment`` and ``stages`` are what the attestation says of this run. UsageError, ContentRefused
    with every file that may not be inside, or VerificationError if the model folder is not as its manifest.json says;
    ``output`` is then as it was.
    """
    statement, output = Statement(check_name(name), enforced, environment, stages or {}), output.absolute()
    _check_output(output)
    _check_apart(model, output)
    found, manifest = list(_files(model, files)), _read_manifest(model)
    _check_paths(found)
    with draft_of(output) as draft:
        blobs = BlobFolder(draft)
        packed = _pack(blobs, found)
        if manifest is not None:
            _compare(model, manifest, packed)
        _write_layout(draft, blobs, packed, manifest, statement)
        publish(draft, output, check=lambda: _check_output(output))
    return open_bundle(output)


def _check_output(output: Path) -> None:
    if not output.name:
        raise UsageError(f"a bundle cannot be put at {output}", hint="name a new folder")
    if not is_layout_or_nothing(output):
        message = f"{output} exists and is no bundle, so it is not overwritten"
        raise UsageError(message, hint="name another folder, or move this one away")


def _check_apart(model: Path, output: Path) -> None:
    """UsageError for a bundle inside of its model, or around it: packing would change the model."""
    one, other = model.resolve(), output.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise UsageError(f"{output} and the model {model} lie in one another", hint="name a folder beside the model")


def _files(model: Path, files: Sequence[Path]) -> Iterator[_File]:
    if not model.is_dir():
        what = "is no folder" if model.exists() else "does not exist"
        raise UsageError(f"the model {model} {what}", hint="name the folder that holds model.safetensors")
    if (model / "run.json").exists():
        raise UsageError(f"{model} is a training run and no model folder", hint=f"name {model / 'model'}")
    for path in sorted(walk_files(model)):
        if path != MANIFEST:
            yield _File(path, model / path, of_model=True)
    for file in files:
        if not file.is_file():
            what = "is no regular file" if file.exists() else "does not exist"
            raise UsageError(f"{file} {what}", hint="name files; only the model itself is a folder")
        yield _File(file.name, file, of_model=False)


def _read_manifest(model: Path) -> CheckpointManifest | None:
    return read_manifest(model) if (model / MANIFEST).exists() else None


def _check_paths(files: Sequence[_File]) -> None:
    faults = [
        Problem("content.path", f"{path!r} cannot be a path in a bundle: {why}", "rename the file")
        for path, why in path_faults(file.path for file in files)
    ]
    if faults:
        raise ContentRefused(faults[0].message, problems=faults)


def _pack(blobs: BlobFolder, files: Sequence[_File]) -> list[_Packed]:
    packed: list[_Packed] = []
    refused: list[Problem] = []
    for file in files:
        try:
            packed.append(_Packed(file, blobs.add_file(file.source)))
        except ContentRefused as error:
            message = f"{file.path} {error.message}, so it may not go into a bundle"
            refused.append(Problem(error.code, message, error.hint, str(file.source)))
    if refused:
        raise ContentRefused(refused[0].message, problems=refused)
    if not any(one.blob.content.weights for one in packed):
        raise UsageError("there are no weights to pack", hint="a model folder holds at least one safetensors file")
    return packed


def _compare(model: Path, manifest: CheckpointManifest, packed: Sequence[_Packed]) -> None:
    """VerificationError, with every difference, unless the model's files are those that its manifest names."""
    found = {one.file.path: one.blob.digest for one in packed if one.file.of_model}
    named = {entry.path: entry.sha256 for entry in manifest.files}
    problems = [
        Problem("verify.mismatch", f"{path} {_difference(found.get(path), named.get(path))}", _HINT, str(model / path))
        for path in sorted({*found, *named})
        if found.get(path) != named.get(path)
    ]
    if problems:
        raise VerificationError(f"{model} is not as its {MANIFEST} says", problems=problems)


def _difference(found: str | None, named: str | None) -> str:
    if found is None:
        return f"is missing, and {MANIFEST} names it"
    return f"has the digest {found}, and {MANIFEST} says {named}" if named else f"is not in {MANIFEST}"


def _write_layout(
    draft: Path,
    blobs: BlobFolder,
    packed: Sequence[_Packed],
    manifest: CheckpointManifest | None,
    statement: Statement,
) -> None:
    made_from = made_from_digests(manifest.made_from) if manifest else {}
    content = [one for one in packed if one.report is None]
    layers = [_layer(one) for one in content]
    weights = [one.blob.content.weights for one in content if one.blob.content.weights]
    config = config_bytes(model_manifest(layers, b"", {}).layers, weights, made_from)
    check_model_config(config)
    model = model_manifest(layers, config, made_from)
    about = attestation_manifest(model.descriptor(), _documents(blobs, packed, manifest, statement))
    for document in (config, EMPTY_BYTES, model.to_bytes(), about.to_bytes()):
        blobs.add(document)
    (draft / LAYOUT_FILE).write_bytes(LAYOUT_BYTES)
    (draft / INDEX_FILE).write_bytes(index_of(model, about, statement.name))


def _layer(one: _Packed) -> Descriptor:
    media_type = layer_type(one.blob.content, of_model=one.file.of_model)
    return layer(one.file.path, media_type, one.blob.digest, one.blob.size)


def _documents(
    blobs: BlobFolder, packed: Sequence[_Packed], manifest: CheckpointManifest | None, statement: Statement
) -> Iterator[Descriptor]:
    """The attestation's layers."""
    written = [(STATEMENT_TYPE, STATEMENT, statement.to_bytes())]
    if manifest is not None:
        written.append((CHECKPOINT_TYPE, MANIFEST, manifest_bytes(manifest)))
    for media_type, title, content in written:
        yield attestation_layer(media_type, title, blobs.add(content), len(content))
    for kind in REPORT_KINDS:
        reports = [one for one in packed if one.report == kind]
        if len(reports) > 1:
            names = " and ".join(one.file.path for one in reports)
            raise UsageError(f"{names} are reports of {kind.schema}, and an attestation holds one", hint="give one")
        for one in reports:
            yield attestation_layer(kind.media_type, kind.title, one.blob.digest, one.blob.size)
