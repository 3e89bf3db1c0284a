from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_core.checkpoint import CheckpointManifest, check_folder, manifest_bytes, parse_manifest, read_manifest
from codex_core.digest import canonical_json, list_folder
from codex_core.errors import VerificationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of two files, with its manifest."""
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    (tmp_path / "b.json").write_bytes(b"{}\n")
    manifest = CheckpointManifest(3, list_folder(tmp_path), {"seed": 7}, {"threads": 1})
    (tmp_path / "manifest.json").write_bytes(manifest_bytes(manifest))
    return tmp_path


def test_a_manifest_is_read_back_from_its_bytes(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (manifest.step, dict(manifest.made_from), dict(manifest.environment)) == (3, {"seed": 7}, {"threads": 1})
    assert parse_manifest(manifest_bytes(manifest)) == manifest
    assert list(check_folder(folder, manifest)) == []


def changed(folder: Path, **members: object) -> bytes:
    return canonical_json({**json.loads((folder / "manifest.json").read_bytes()), **members}) + b"\n"


def test_any_other_bytes_are_no_manifest_and_the_error_names_the_file(folder: Path) -> None:
    good = (folder / "manifest.json").read_bytes()
    for bad in (
        good[:-1],
        good.replace(b":", b": "),
        b"[" * 100_000,
        b"[]",
        b"\xff",
        changed(folder, schema="codex.checkpoint/2"),
        changed(folder, more=1),
        changed(folder, files=[["a", "x", "sha256:0"]]),
        changed(folder, files=7),
        changed(folder, step=None),
    ):
        with pytest.raises(VerificationError, match="the manifest is no"):
            parse_manifest(bad, name="the manifest")
        (folder / "manifest.json").write_bytes(bad)
        with pytest.raises(VerificationError, match=r"manifest\.json is no"):
            read_manifest(folder)


def test_each_file_that_is_not_as_the_manifest_says_is_named(folder: Path) -> None:
    manifest = read_manifest(folder)
    (folder / "a.safetensors").write_bytes(b"weighty")
    (folder / "b.json").unlink()
    (folder / "c").write_bytes(b"")
    found = [(path, problem.code) for path, problem in check_folder(folder, manifest)]
    assert found == [("c", "verify.unexpected"), ("a.safetensors", "verify.mismatch"), ("b.json", "verify.missing")]


@pytest.mark.parametrize("path", ["/etc/hostname", "../outside", "a/../../outside", "", ".", "a//b"])
def test_a_manifest_that_names_what_lies_outside_is_none(folder: Path, path: str) -> None:
    with pytest.raises(VerificationError, match="is no path inside of its folder"):
        parse_manifest(changed(folder, files=[[path, 7, f"sha256:{'0' * 64}"]]))


def test_a_size_that_is_not_the_file_s_is_told(folder: Path) -> None:
    files = [
        [path, size + 1, digest] for path, size, digest in json.loads((folder / "manifest.json").read_bytes())["files"]
    ]
    (folder / "manifest.json").write_bytes(changed(folder, files=files))
    found = [problem.message for _, problem in check_folder(folder, read_manifest(folder))]
    assert found == [
        "a.safetensors has 7 bytes, and the manifest says 8",
        "b.json has 3 bytes, and the manifest says 4",
    ]
