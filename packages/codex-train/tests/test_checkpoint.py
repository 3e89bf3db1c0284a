"""Checkpoints: what is written is read back, and no damage to any file is read as if it were whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codex_core.checkpoint import check_folder, read_manifest
from codex_core.errors import ConfigError, VerificationError
from codex_train.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from codex_train.identity import Identity

IDENTITY = Identity({"task": "t", "seed": 7}, {"threads": 1})
FILES = ["manifest.json", "model.safetensors", "opt.safetensors", "state.json"]


def made() -> Checkpoint:
    states = {"model": {"a.weight": torch.arange(8.0), "b.weight": torch.ones(4)}, "opt": {"step": 3, "lr": 0.1}}
    return Checkpoint(120, states, {"epoch": 2, "offset": 40, "events": 0}, IDENTITY)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path / "checkpoints", made())
    assert place == tmp_path / "checkpoints" / "step-00000120"
    assert sorted(path.name for path in place.iterdir()) == FILES
    found = read_checkpoint(place)
    assert (found.step, found.facts, found.states["opt"]) == (120, made().facts, {"step": 3, "lr": 0.1})
    assert found.identity == IDENTITY
    assert torch.equal(found.states["model"]["a.weight"], torch.arange(8.0))
    assert list(found.states["model"]) == ["a.weight", "b.weight"]


def test_the_manifest_says_what_the_weights_were_made_from_and_on_what(tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path, made())
    manifest = read_manifest(place)
    assert (manifest.step, manifest.made_from, manifest.environment) == (120, {"task": "t", "seed": 7}, {"threads": 1})
    assert list(check_folder(place, manifest)) == []


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_checkpoint(tmp_path / name, made()) for name in ("one", "other"))
    assert [(one / name).read_bytes() for name in FILES] == [(other / name).read_bytes() for name in FILES]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_anywhere_is_noticed(name: str, tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path, made())
    whole = (place / name).read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 40)):
        (place / name).write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        with pytest.raises(VerificationError):
            read_checkpoint(place)
    (place / name).write_bytes(whole)
    assert read_checkpoint(place).step == 120


def test_the_damaged_tensor_is_named(tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path, made())
    path = place / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + b"!" + whole[-2:])
    with pytest.raises(VerificationError) as caught:
        read_checkpoint(place)
    told = "step-00000120 is damaged: the tensor 'b.weight' in model.safetensors is not what was written"
    assert caught.value.message == told


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_missing_or_a_link_is_noticed(name: str, tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path, made())
    whole = (place / name).read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        (place / name).write_bytes(whole[:cut])
        with pytest.raises(VerificationError):
            read_checkpoint(place)
    (place / name).unlink()
    with pytest.raises(VerificationError):
        read_checkpoint(place)
    (tmp_path / "elsewhere").write_bytes(whole)
    (place / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerificationError):
        read_checkpoint(place)


def test_what_another_program_left_beside_the_files_is_not_read_and_in_nobodys_way(tmp_path: Path) -> None:
    place = write_checkpoint(tmp_path, made())
    (place / ".DS_Store").write_bytes(b"")
    (place / "link").symlink_to("nowhere")
    assert read_checkpoint(place).step == 120


def test_a_state_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    states = {"model": {"a": torch.ones(2)}, "opt": {"bad": object()}}
    with pytest.raises(ConfigError, match=r"opt\.bad is a object"):
        write_checkpoint(tmp_path, Checkpoint(1, states, {}, IDENTITY))
    assert list(tmp_path.iterdir()) == []
