from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from codex_core.digest import canonical_json, digest_bytes, digest_json, open_regular
from codex_core.errors import UsageError, VerificationError
from codex_core.policy import Policy
from codex_core.status import Bundle, TargetConfig, TargetContext
from codex_deploy import create_bundle, open_bundle, verify
from codex_deploy.targets.dir import DirTarget
from codex_deploy.verification import require_verified

Forge = Callable[[Callable[[dict[str, Any]], None]], Path]  # Any: JSON to be changed
FULL = os.environ.get("CODEX_MATRIX") == "full"
FLIPS = 4
"""How many bytes of each file are flipped, each in turn, unless all are."""


def damaged(path: Path) -> list[str]:
    """The files that a verification names."""
    return sorted({flaw.path for flaw in verify(path).problems})


def positions(name: str, size: int) -> list[int]:
    if FULL:
        return list(range(size))
    return sorted({0, size - 1, *random.Random(name).choices(range(size), k=FLIPS - 2)})


def every_flip(folder: Path) -> None:
    """Each byte (a few, unless CODEX_MATRIX=full) of each file flipped in turn is found in this file."""
    assert verify(folder).problems == ()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for position in positions(path.name, len(content)):
            flipped = content[position] ^ (1 << position % 8)
            path.write_bytes(content[:position] + bytes([flipped]) + content[position + 1 :])
            assert str(path.relative_to(folder)) in damaged(folder), f"{path.name} at {position}"
        path.write_bytes(content)
    assert verify(folder).problems == ()


@pytest.fixture
def deployment(bundle: Bundle, tmp_path: Path) -> Path:
    context = TargetContext(
        tmp_path, {}, Policy(), "cli", datetime(2026, 3, 4, tzinfo=UTC), print, {"host": "h", "pid": 1}
    )
    target = DirTarget(TargetConfig("local", "dir", "file:served"), context)
    target.apply(target.plan(bundle, target.observe()))
    return target.folder


@pytest.mark.matrix
def test_every_flipped_byte_of_a_bundle_is_found_in_its_file(bundle: Bundle) -> None:
    every_flip(bundle.path)


@pytest.mark.matrix
def test_every_flipped_byte_of_a_deployment_is_found_in_its_file(deployment: Path) -> None:
    every_flip(deployment)


def test_a_bundle_verifies_with_its_digest(bundle: Bundle) -> None:
    found = verify(bundle.path)
    assert (found.kind, found.digest, found.problems) == ("layout", bundle.digest, ())


def test_a_deployment_verifies_with_its_bundles_digest(deployment: Path, bundle: Bundle) -> None:
    found = verify(deployment)
    assert (found.kind, found.digest, found.problems) == ("deployment", bundle.digest, ())


def test_a_file_cut_or_grown_or_lost_is_named(bundle: Bundle) -> None:
    for path in sorted(path for path in bundle.path.rglob("*") if path.is_file()):
        content, name = path.read_bytes(), str(path.relative_to(bundle.path))
        for other in (content[:-1], b"", content + b"\n", content + b"\0"):
            path.write_bytes(other)
            assert name in damaged(bundle.path)
        path.unlink()
        assert name in damaged(bundle.path)
        path.write_bytes(content)


def test_anything_else_in_the_folder_is_named(bundle: Bundle) -> None:
    def check(name: str, make: Callable[[Path], object]) -> None:
        path = bundle.path / name
        make(path)
        assert damaged(bundle.path) == [name]
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    unused = "blobs/sha256/" + "0" * 64
    for name in ("extra", ".hidden", "blobs/extra", "blobs/sha256/extra", "blobs/sha256/" + "A" * 64):
        check(name, lambda path: path.write_bytes(b""))
        check(name, lambda path: path.mkdir())
        check(name, lambda path: path.symlink_to("/etc/hostname"))
        check(name, lambda path: path.symlink_to("/nowhere"))
        check(name, os.mkfifo)
    check(unused, lambda path: path.mkdir())
    check("blobs/sha512", lambda path: path.mkdir())
    (bundle.path / "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855").touch()
    [flaw] = verify(bundle.path).problems
    assert (flaw.code, flaw.message) == ("verify.unexpected", "it does not belong here: no manifest names it")


def test_a_socket_is_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert damaged(bundle.path) == ["socket"]


@pytest.mark.parametrize("name", ["oci-layout", "index.json", "blobs", "blobs/sha256"])
def test_a_link_to_the_very_same_content_is_named(bundle: Bundle, tmp_path: Path, name: str) -> None:
    (bundle.path / name).rename(tmp_path / "moved")
    (bundle.path / name).symlink_to(tmp_path / "moved")
    assert name in damaged(bundle.path)


def test_a_blob_that_is_a_link_to_its_content_is_named(bundle: Bundle, tmp_path: Path) -> None:
    blob = next((bundle.path / "blobs/sha256").iterdir())
    blob.rename(tmp_path / "moved")
    blob.symlink_to(tmp_path / "moved")
    assert f"blobs/sha256/{blob.name}" in damaged(bundle.path)


def test_swapped_blobs_are_named(bundle: Bundle) -> None:
    one, other, *_ = sorted((bundle.path / "blobs/sha256").iterdir())
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert damaged(bundle.path)[:2] == [f"blobs/sha256/{one.name}", f"blobs/sha256/{other.name}"]


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_the_same_json_in_other_bytes_is_named(bundle: Bundle, name: str) -> None:
    path = bundle.path / name
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    assert damaged(bundle.path) == [name]


def test_an_index_that_says_something_else_is_named(bundle: Bundle) -> None:
    path = bundle.path / "index.json"
    known = json.loads(path.read_bytes())

    def said(index: dict[str, Any]) -> list[str]:  # Any: JSON
        path.write_bytes(canonical_json(index))
        return damaged(bundle.path)

    first, second = known["manifests"]
    assert "index.json" in said({**known, "manifests": [second, first]})
    assert "index.json" in said({**known, "manifests": [first]})
    assert "index.json" in said({**known, "manifests": [first, second, second]})
    assert said({**known, "manifests": [{**first, "size": 7}, second]}) == ["index.json"]
    assert said({**known, "manifests": [{**first, "artifactType": "x"}, second]}) == ["index.json"]
    renamed = {"org.opencontainers.image.ref.name": "another"}
    assert said({**known, "manifests": [{**first, "annotations": renamed}, second]}) == ["index.json"]
    assert "index.json" in said({**known, "manifests": [{**first, "digest": f"sha256:{'0' * 64}"}, second]})
    assert said(known) == []


def rename(index: int, path: str) -> Callable[[dict[str, Any]], None]:  # Any: JSON
    def change(manifest: dict[str, Any]) -> None:  # Any: JSON
        manifest["layers"][index]["annotations"]["org.cncf.model.filepath"] = path
        manifest["layers"].sort(key=lambda layer: layer["annotations"]["org.cncf.model.filepath"].encode())

    return change


@pytest.mark.parametrize(
    "path", ["../escaped", "/etc/passwd", "a/../../b", "CONFIG.JSON", "config.json", "config.json/x", "a\\..\\b", ""]
)
def test_a_path_that_escapes_or_collides_is_found_though_every_digest_holds(forge: Forge, path: str) -> None:
    folder = forge(rename(0, path))
    [flaw] = [flaw for flaw in verify(folder).problems if flaw.code == "verify.path"]
    assert flaw.path.startswith("blobs/sha256/")
    assert repr(path) in flaw.message or "config.json" in flaw.message
    with pytest.raises(VerificationError, match="may not stand in a bundle"):
        open_bundle(folder)


def set_in(*keys: str | int, to: object) -> Callable[[dict[str, Any]], None]:  # Any: JSON
    def change(manifest: dict[str, Any]) -> None:  # Any: JSON
        place: Any = manifest  # Any: JSON
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "change",
    [
        set_in("artifactType", to="application/x"),
        set_in("annotations", "vnd.codex.made-from", to='{"seed":8}'),
        set_in("annotations", "vnd.codex.made-from", to='{"seed": 8}'),
        set_in("annotations", "vnd.codex.made-from", to="[]"),
        set_in("annotations", "vnd.codex.made-from", to="{"),
        set_in("annotations", "more", to="x"),
        set_in("config", "mediaType", to="application/x"),
        set_in("config_data", "modelfs", "diffIds", 0, to=DIGEST),
        set_in("config_data", "modelfs", "type", to="rootfs"),
        set_in("config_data", "descriptor", "revision", to=DIGEST),
        set_in("config_data", "descriptor", "createdAt", to="2025-01-01T00:00:00Z"),
        set_in("config_data", "config", "precision", to="float16"),
        set_in("config_data", "swims", to=True),
        set_in("layers", 0, "mediaType", to="application/vnd.cncf.model.weight.v1.raw"),
        set_in("layers", 3, "mediaType", to="application/vnd.cncf.model.doc.v1.raw"),
        set_in("layers", 0, "mediaType", to="application/vnd.cncf.model.doc.v1.tar"),
        set_in("layers", 0, "size", to=1),
        set_in("layers", 0, "digest", to=DIGEST),
        set_in("layers", 0, "annotations", to={}),
        set_in("layers", 0, "annotations", "more", to="x"),
        set_in("subject", to={"mediaType": "a", "digest": DIGEST, "size": 1}),
        lambda manifest: manifest["layers"].reverse(),
        lambda manifest: manifest["layers"].pop(),
        lambda manifest: manifest["layers"].clear(),
    ],
)
def test_a_manifest_that_does_not_follow_from_the_files_is_found_though_every_digest_holds(
    forge: Forge, change: Callable[[dict[str, Any]], None]
) -> None:
    assert damaged(forge(change))


def reattest(folder: Path, change: Callable[[list[Any], Callable[[object], dict[str, object]]], None]) -> None:
    """Change the layers of the attestation, given a way to put a document into the blobs; every digest then holds."""

    def put(data: object) -> dict[str, object]:
        content = canonical_json(data)
        (folder / "blobs" / "sha256" / digest_bytes(content).removeprefix("sha256:")).write_bytes(content)
        return {"digest": digest_bytes(content), "size": len(content)}

    index = json.loads((folder / "index.json").read_bytes())
    old = folder / "blobs" / "sha256" / index["manifests"][1]["digest"].removeprefix("sha256:")
    attestation = json.loads(old.read_bytes())
    old.unlink()
    change(attestation["layers"], put)
    attestation["layers"].sort(key=lambda layer: str(layer["annotations"]["org.opencontainers.image.title"]))
    index["manifests"][1].update(put(attestation))
    (folder / "index.json").write_bytes(canonical_json(index))


def layer_of(title: str, media_type: str, put: dict[str, object]) -> dict[str, object]:
    return {"mediaType": media_type, "annotations": {"org.opencontainers.image.title": title}, **put}


STATEMENT = "application/vnd.codex.statement.v1+json"
CHECKPOINT = "application/vnd.codex.checkpoint.v1+json"


@pytest.mark.parametrize(
    ("title", "media_type"),
    [
        ("extra.txt", ""),
        ("extra.txt", STATEMENT),
        ("manifest.json", CHECKPOINT),
        ("audit.json", "application/vnd.codex.audit.v1+json"),
    ],
)
def test_a_layer_too_many_in_the_attestation_is_found_though_every_digest_holds(
    bundle: Bundle, title: str, media_type: str
) -> None:
    reattest(bundle.path, lambda layers, put: layers.append(layer_of(title, media_type, put({"more": 1}))))
    assert damaged(bundle.path)


@pytest.mark.parametrize(
    "changed",
    [
        {"environment": {"python": 3}},
        {"environment": ["python"]},
        {"enforced": {"guard": "python", "policy": 7, "ledger_entries": 1, "ledger_head": None}},
        {"enforced": {"guard": "python", "policy": "p", "ledger_entries": "many", "ledger_head": None}},
        {"enforced": ["guard"]},
        {"name": 7},
    ],
)
def test_a_statement_with_members_of_other_types_is_found_though_every_digest_holds(
    bundle: Bundle, changed: dict[str, object]
) -> None:
    def change(layers: list[Any], put: Callable[[object], dict[str, object]]) -> None:  # Any: JSON
        [layer] = [one for one in layers if one["mediaType"] == STATEMENT]
        blob = bundle.path / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
        layer.update(put({**json.loads(blob.read_bytes()), **changed}))
        blob.unlink()

    reattest(bundle.path, change)
    assert damaged(bundle.path)


def test_a_model_without_weights_is_found_though_every_digest_holds(forge: Forge, bundle: Bundle) -> None:
    def change(manifest: dict[str, Any]) -> None:  # Any: JSON
        for layer in manifest["layers"]:
            if layer["mediaType"] == "application/vnd.cncf.model.weight.v1.raw":
                layer["mediaType"] = "application/vnd.cncf.model.doc.v1.raw"

    assert damaged(forge(change))


def test_a_status_with_members_of_other_types_is_found_though_its_digests_hold(deployment: Path) -> None:
    data = json.loads((deployment / "status.json").read_bytes())
    data["spec"]["generation"] = "many"
    content = {name: value for name, value in data.items() if name not in {"digest", "observed"}}
    (deployment / "status.json").write_bytes(canonical_json({**data, "digest": digest_json(content)}) + b"\n")
    assert damaged(deployment) == ["status.json"]


def test_a_forger_who_changes_nothing_is_not_found(forge: Forge, bundle: Bundle) -> None:
    assert verify(forge(lambda manifest: None)).digest == bundle.digest
    assert damaged(bundle.path) == []


def test_a_pickle_smuggled_in_as_a_layer_is_found_though_every_digest_holds(forge: Forge, bundle: Bundle) -> None:
    content = b"cos\nsystem\n(S'true'\ntR."
    digest = digest_bytes(content)

    def smuggle(manifest: dict[str, Any]) -> None:  # Any: JSON
        layer = manifest["layers"][0]
        (bundle.path / "blobs/sha256" / layer["digest"].removeprefix("sha256:")).unlink()
        layer.update(digest=digest, size=len(content))
        manifest["config_data"]["modelfs"]["diffIds"][0] = digest

    (bundle.path / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(content)
    [flaw] = verify(forge(smuggle)).problems
    assert (flaw.path, flaw.code) == (f"blobs/sha256/{digest.removeprefix('sha256:')}", "content.refused")


def test_each_blob_is_read_once(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def spy(path: Path) -> BinaryIO:
        opened.append(path.name)
        return open_regular(path)

    monkeypatch.setattr("codex_deploy.layout_files.open_regular", spy)
    assert verify(bundle.path).problems == ()
    assert sorted(opened) == sorted(path.name for path in bundle.path.rglob("*") if path.is_file())


def test_a_deployments_status_has_to_be_of_its_bundle(deployment: Path, model: Path, tmp_path: Path) -> None:
    other = create_bundle(model, (), tmp_path / "other", name="lm", enforced=None, environment={})
    shutil.copy(deployment / "status.json", other.path)
    [flaw] = verify(other.path).problems
    assert flaw.path == "status.json"
    assert "is not this one" in flaw.message
    (deployment / "status.json").write_text("{}\n")
    assert damaged(deployment) == ["status.json"]


def test_a_deployment_without_its_layout_file_is_a_damaged_deployment(deployment: Path) -> None:
    (deployment / "oci-layout").unlink()
    found = verify(deployment)
    assert (found.kind, damaged(deployment)) == ("deployment", ["oci-layout"])


def test_a_model_folder_is_a_checkpoint(model: Path) -> None:
    found = verify(model)
    assert (found.kind, found.problems) == ("checkpoint", ())
    assert found.digest is not None
    (model / "config.json").write_text("{}")
    (model / "more").write_text("x")
    assert damaged(model) == ["config.json", "more"]
    (model / "link").symlink_to("config.json")
    assert damaged(model) == ["."]
    (model / "manifest.json").write_text("{}")
    assert (damaged(model), verify(model).digest) == (["manifest.json"], None)


STEP, OTHER = "checkpoints/step-00000020", "checkpoints/step-00000021"
SET_ASIDE = "checkpoints/damaged-step-00000019"


@pytest.fixture
def run(tmp_path: Path, make_model: Callable[..., Path]) -> Path:
    """A finished run with a checkpoint, one that was set aside, one half written, and a model."""
    run = tmp_path / "run"
    for name in (STEP, "checkpoints/.step-00000021.draft", SET_ASIDE, "model"):
        make_model(run / name)
    made_from = json.loads((run / STEP / "manifest.json").read_bytes())["made_from"]
    write_run(run, state="finished", step=20, identity={"made_from": made_from}, inexact=[])
    (run / "events.ndjson").write_text("{}\n")
    return run


def write_run(run: Path, **changed: object) -> None:
    file = run / "run.json"
    before = json.loads(file.read_bytes()) if file.exists() else {"schema": "codex.run/1"}
    file.write_bytes(canonical_json({**before, **changed}) + b"\n")


def test_a_run_is_checked_with_its_checkpoints_and_its_model(run: Path) -> None:
    found = verify(run)
    assert (found.kind, found.digest, found.problems) == ("run", None, ())
    for name in (STEP, "checkpoints/.step-00000021.draft", SET_ASIDE, "model"):
        (run / name / "config.json").write_text("{}")
    assert damaged(run) == [f"{STEP}/config.json", "model/config.json"]
    (run / "model" / "manifest.json").unlink()
    assert "model/manifest.json" in damaged(run)
    (run / "run.json").write_text("{}")
    assert "run.json" in damaged(run)


def test_a_run_s_checkpoints_and_model_are_made_from_what_it_says(run: Path, make_model: Callable[..., Path]) -> None:
    shutil.rmtree(run / STEP)
    make_model(run / STEP, seed=5)
    assert damaged(run) == [f"{STEP}/manifest.json"]
    shutil.rmtree(run / "model")
    make_model(run / "model", seed=6)
    assert damaged(run) == [f"{STEP}/manifest.json", "model/manifest.json"]
    write_run(run, inexact=[{"step": 3, "differences": ["seed: 5 -> 7"]}])  # then that is told there
    assert damaged(run) == []


def test_a_run_s_checkpoints_are_of_the_steps_in_their_names_and_in_its_file(run: Path) -> None:
    (run / STEP).rename(run / OTHER)
    assert damaged(run) == [f"{OTHER}/manifest.json"]
    (run / OTHER).rename(run / STEP)
    write_run(run, step=21)
    assert damaged(run) == ["run.json"]
    write_run(run, step=19)
    assert damaged(run) == ["run.json"]
    write_run(run, state="running")  # killed between a checkpoint and run.json
    assert damaged(run) == []
    write_run(run, step=20, state="finished")
    shutil.rmtree(run / STEP)
    assert damaged(run) == ["run.json"]


@pytest.mark.parametrize("changed", [{"identity": 3}, {"step": "many"}, {"inexact": None, "identity": {}}])
def test_a_run_json_of_another_shape_is_named(run: Path, changed: dict[str, object]) -> None:
    write_run(run, **changed)
    assert damaged(run) == ["run.json"]


def test_requiring_what_does_not_verify_raises_with_every_file(bundle: Bundle) -> None:
    assert require_verified(bundle.path).digest == bundle.digest
    for name in ("oci-layout", "extra"):
        (bundle.path / name).write_text("{}")
    with pytest.raises(VerificationError) as caught:
        require_verified(bundle.path)
    assert caught.value.exit_code == 4
    assert [problem.file for problem in caught.value.problems] == [
        str(bundle.path / n) for n in ("extra", "oci-layout")
    ]


def test_what_is_missing_or_of_no_kind_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("nowhere", "file", "folder"):
        with pytest.raises(UsageError) as caught:
            verify(tmp_path / name)
        assert (caught.value.exit_code, bool(caught.value.hint)) == (2, True)
