"""The model folder: canonical bytes that nothing but the weights and the architecture decides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codex_core.checkpoint import read_manifest
from codex_core.errors import ConfigError, VerificationError
from codex_train.identity import Identity
from codex_train.model_folder import read_config, read_weights, write_model

WEIGHTS = {"b": torch.ones(2), "a": torch.arange(3.0)}
CONFIG = {"task": "lm", "width": 8}


def write(folder: Path, identity: Identity | None = None) -> None:
    write_model(folder, WEIGHTS, CONFIG, step=7, identity=identity or Identity({"seed": 1}, {"threads": 1}))


def test_weights_and_config_depend_on_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "other", Identity({"seed": 2}, {"threads": 8}))
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert (tmp_path / "one" / "config.json").read_bytes() == b'{"schema":"codex.model/1","task":"lm","width":8}\n'


def test_the_manifest_says_what_it_was_made_from(tmp_path: Path) -> None:
    write(tmp_path / "model")
    manifest = read_manifest(tmp_path / "model")
    assert (manifest.step, manifest.made_from, manifest.environment) == (7, {"seed": 1}, {"threads": 1})
    assert [entry.path for entry in manifest.files] == ["config.json", "model.safetensors"]


def test_it_is_read_back_and_replaces_the_one_before(tmp_path: Path) -> None:
    write_model(tmp_path / "model", {"old": torch.zeros(1)}, {"task": "old"}, step=1, identity=Identity({}, {}))
    write(tmp_path / "model")
    assert read_config(tmp_path / "model") == {"schema": "codex.model/1", **CONFIG}
    assert {name: tensor.tolist() for name, tensor in read_weights(tmp_path / "model").items()} == {
        "a": [0.0, 1.0, 2.0],
        "b": [1.0, 1.0],
    }
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_damage_is_told_and_a_deployed_model_needs_no_manifest(tmp_path: Path) -> None:
    write(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("beside it")
    read_weights(tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(VerificationError, match=r"is damaged: model\.safetensors has the digest"):
        read_weights(tmp_path / "model")
    (tmp_path / "model" / "manifest.json").unlink()
    assert set(read_weights(tmp_path / "model")) == {"a", "b"}
    path.write_bytes(b"no weights")
    with pytest.raises(VerificationError, match="holds no weights"):
        read_weights(tmp_path / "model")


@pytest.mark.parametrize(
    "text", [None, b"no json", b"[]", b'{"schema":"codex.model/2","task":"lm"}', b'{"schema":"codex.model/1"}']
)
def test_a_folder_that_holds_no_model_is_refused(text: bytes | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.json").write_bytes(text)
    with pytest.raises(ConfigError, match="is no model folder"):
        read_config(tmp_path)
