"""What several tests need: weights, a model folder, a bundle, and a bundle whose documents somebody has forged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from codex_core.checkpoint import CheckpointManifest, manifest_bytes
from codex_core.digest import canonical_json, digest_bytes, list_folder
from codex_core.stage import Attestation
from codex_core.status import Bundle
from codex_deploy import create_bundle

Forge = Callable[[Callable[[dict[str, Any]], None]], Path]  # Any: JSON to be changed
MADE_FROM = {
    "task": "lm",
    "data": f"sha256:{'a' * 64}",
    "code": f"sha256:{'b' * 64}",
    "params": {"steps": 20, "width": 128},
    "seed": 7,
}
FACTS = Attestation("python", f"sha256:{'c' * 64}", 12, f"sha256:{'d' * 64}")


def weights_of(tensors: Mapping[str, tuple[str, list[int], bytes]], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of tensors given as data type, shape and bytes."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + len(data)]}
        position += len(data)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in tensors.values())


@pytest.fixture
def safetensors() -> Callable[..., bytes]:
    return weights_of


@pytest.fixture
def facts() -> Attestation:
    return FACTS


@pytest.fixture
def make_model() -> Callable[..., Path]:
    """A model folder as train.TASK leaves it."""

    def make(folder: Path, *, value: int = 1, seed: int = 7) -> Path:
        folder.mkdir(parents=True)
        tensors = {"a": ("F32", [2, 3], bytes([value]) * 24), "b": ("BF16", [5], b"\1" * 10)}
        (folder / "model.safetensors").write_bytes(weights_of(tensors, {"format": "pt"}))
        config = {"schema": "codex.model/1", "task": "lm", "width": 128}
        (folder / "config.json").write_bytes(canonical_json(config) + b"\n")
        made_from = {**MADE_FROM, "seed": seed}
        manifest = CheckpointManifest(20, list_folder(folder), made_from, {"threads": 1, "python": "3.11.7"})
        (folder / "manifest.json").write_bytes(manifest_bytes(manifest))
        return folder

    return make


@pytest.fixture
def model(tmp_path: Path, make_model: Callable[..., Path]) -> Path:
    return make_model(tmp_path / "model")


@pytest.fixture
def extras(tmp_path: Path) -> list[Path]:
    """Of further files two reports, an evaluation and an audit, and a README and labels, which are content."""
    folder = tmp_path / "extras"
    folder.mkdir()
    (folder / "evaluation.json").write_text('{"figures":{"bits_per_byte":2.5},"schema":"codex.evaluation/1"}\n')
    (folder / "labels.json").write_text('["yes", "no"]\n')
    (folder / "README.md").write_text("# A model\n\nIt reads Python, *mostly*.\n")
    (folder / "audit.json").write_bytes(canonical_json({"schema": "codex.audit/1", "counts": {}}) + b"\n")
    return sorted(folder.iterdir())


@pytest.fixture
def bundle(tmp_path: Path, model: Path, extras: list[Path]) -> Bundle:
    return create_bundle(model, extras, tmp_path / "bundle", name="lm", enforced=FACTS, environment={"python": "3"})


@pytest.fixture
def forge(bundle: Bundle) -> Forge:
    """Change the model's manifest, and make every digest and the attestation agree with the change."""

    def rewrite(change: Callable[[dict[str, Any]], None]) -> Path:  # Any: JSON to be changed
        blobs = bundle.path / "blobs" / "sha256"

        def take(digest: str) -> Any:  # Any: JSON
            path = blobs / digest.removeprefix("sha256:")
            data = json.loads(path.read_bytes())
            path.unlink()
            return data

        def put(data: object) -> dict[str, object]:
            content = canonical_json(data)
            (blobs / digest_bytes(content).removeprefix("sha256:")).write_bytes(content)
            return {"digest": digest_bytes(content), "size": len(content)}

        index = json.loads((bundle.path / "index.json").read_bytes())
        manifest, attestation = (take(entry["digest"]) for entry in index["manifests"])
        manifest["config_data"] = take(manifest["config"]["digest"])
        change(manifest)
        manifest["config"].update(put(manifest.pop("config_data")))
        index["manifests"][0].update(put(manifest))
        attestation["subject"].update({key: index["manifests"][0][key] for key in ("digest", "size")})
        index["manifests"][1].update(put(attestation))
        (bundle.path / "index.json").write_bytes(canonical_json(index))
        return bundle.path

    return rewrite
