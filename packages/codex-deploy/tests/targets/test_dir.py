from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_core.digest import digest_folder
from codex_core.errors import DeploymentFailed, UrlError, VerificationError
from codex_core.policy import Layer, Policy, Rule
from codex_core.status import Bundle, StatusBlock, Step, TargetConfig, TargetContext
from codex_deploy import create_bundle, open_bundle, verify
from codex_deploy.blocks import block_bytes, read_block
from codex_deploy.targets import dir as module
from codex_deploy.targets.dir import DirTarget, target_folder

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def target_at(root: Path, url: str = "file:served", *, policy: Policy | None = None, pid: int = 1) -> DirTarget:
    context = TargetContext(root, {}, policy or Policy(), "cli", NOW, print, {"host": "h", "pid": pid})
    return DirTarget(TargetConfig("local", "dir", url), context)


def deploy(target: DirTarget, bundle: Bundle) -> StatusBlock:
    return target.apply(target.plan(bundle, target.observe()))


@pytest.fixture
def other(model: Path, tmp_path: Path) -> Bundle:
    """A bundle of the same model alone."""
    return create_bundle(model, (), tmp_path / "other", name="lm", enforced=None, environment={})


def test_a_bundle_is_deployed_with_its_status_and_verifies(bundle: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    assert target.observe() is None
    block = deploy(target, bundle)
    assert {step.op for step in block.plan} == {"create"}
    assert [(one.type, one.status, one.reason) for one in block.conditions] == [
        ("Ready", "True", "Deployed"),
        ("Verified", "True", "DigestsMatch"),
    ]
    assert read_block((target.folder / "status.json").read_bytes()) == block
    assert verify(target.folder).problems == ()
    assert open_bundle(bundle.path).resources == target.observe().resources  # type: ignore[union-attr]  # deployed
    assert block.spec.generation == 1


def test_the_same_plan_gives_the_same_digest_in_another_folder_at_another_time(bundle: Bundle, tmp_path: Path) -> None:
    one, other = (deploy(target_at(tmp_path / name, pid=pid), bundle) for name, pid in (("a", 1), ("b", 2)))
    assert one.digest == other.digest
    assert block_bytes(one) != block_bytes(other)
    assert dataclasses.replace(one, observed={}) == dataclasses.replace(other, observed={})


def test_the_attestation_is_no_content_of_the_plan_and_is_renewed(
    bundle: Bundle, model: Path, extras: list[Path], tmp_path: Path
) -> None:
    again = create_bundle(model, extras, tmp_path / "again", name="lm", enforced=None, environment={"at": "noon"})
    assert digest_folder(again.path) != digest_folder(bundle.path)
    target = target_at(tmp_path)
    deploy(target, bundle)
    block = deploy(target, again)
    assert ({step.op for step in block.plan}, block.spec.generation) == ({"keep"}, 1)
    assert (target.folder / "index.json").read_bytes() == (again.path / "index.json").read_bytes()
    assert verify(target.folder).problems == ()


def test_what_is_there_already_is_kept_and_nothing_is_written(bundle: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    deploy(target, bundle)
    before = digest_folder(target.folder)
    block = deploy(target, bundle)
    assert ({step.op for step in block.plan}, block.spec.generation) == ({"keep"}, 1)
    assert block.observed["bytes"] == 0
    assert digest_folder(target.folder) == before


def test_another_bundle_replaces_it_and_the_plan_says_what_changes(
    bundle: Bundle, other: Bundle, tmp_path: Path
) -> None:
    target = target_at(tmp_path)
    deploy(target, bundle)
    block = deploy(target, other)
    assert {(step.op, step.resource) for step in block.plan} == {
        ("update", "manifest"),
        ("update", "config"),
        ("keep", "files/config.json"),
        ("keep", "files/model.safetensors"),
        ("remove", "files/README.md"),
        ("remove", "files/labels.json"),
    }
    assert block.spec.generation == 2
    assert verify(target.folder).digest == other.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "extras", "model", "other", "served"]


def test_status_is_the_block_as_long_as_every_byte_stands(bundle: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    missing = target.status()
    assert [(one.type, one.status, one.reason) for one in missing.conditions] == [("Ready", "False", "NotDeployed")]
    block = deploy(target, bundle)
    assert target.status().digest == block.digest
    (target.folder / "oci-layout").write_text("{}")
    damaged = target.status()
    assert [(one.type, one.status, one.reason) for one in damaged.conditions] == [
        ("Ready", "False", "Damaged"),
        ("Verified", "False", "Mismatch"),
    ]
    assert damaged.conditions[1].message.startswith("oci-layout: ")
    assert damaged.spec == block.spec
    (target.folder / "status.json").write_text("{}")
    assert target.status().spec.bundle == ""


@pytest.mark.parametrize("name", ["index.json", "status.json", "oci-layout"])
def test_a_damaged_deployment_is_repaired(bundle: Bundle, tmp_path: Path, name: str) -> None:
    target = target_at(tmp_path)
    deploy(target, bundle)
    (target.folder / name).write_text("{}")
    deploy(target, bundle)
    assert verify(target.folder).problems == ()


def test_a_stranger_s_layout_with_a_status_of_its_own_is_not_replaced(bundle: Bundle, tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "blobs/sha256").mkdir(parents=True)
    (served / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (served / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    (served / "status.json").write_text('{"phase":"scanned"}')
    with pytest.raises(DeploymentFailed, match="is no deployment, so nothing is done to it"):
        deploy(target_at(tmp_path), bundle)


def test_the_status_of_a_deployment_with_a_file_too_many_names_it(bundle: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    deploy(target, bundle)
    (target.folder / "mine.txt").write_text("mine")
    status = target.status()
    assert [(one.type, one.status) for one in status.conditions] == [("Ready", "False"), ("Verified", "False")]
    assert status.conditions[1].message.startswith("mine.txt: ")
    with pytest.raises(DeploymentFailed, match="nothing is done to it"):
        deploy(target, bundle)


def test_a_bundle_that_does_not_verify_is_not_called_deployed(bundle: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    deploy(target, bundle)
    weights = bundle.resources["files/model.safetensors"].removeprefix("sha256:")
    (bundle.path / "blobs" / "sha256" / weights).write_bytes(b"{}")
    with pytest.raises(VerificationError, match=weights):
        deploy(target, bundle)


def test_a_damaged_file_is_made_anew_and_the_plan_says_so(bundle: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    deploy(target, bundle)
    digest = bundle.resources["files/model.safetensors"]
    blob = target.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes()[:-1])
    block = deploy(target, bundle)
    changed = {step.resource: step for step in block.plan if step.op != "keep"}
    why = "nothing that verifies stands there"
    assert changed == {
        "files/model.safetensors": Step("create", "files/model.safetensors", None, digest, why),
        "manifest": Step("create", "manifest", None, bundle.digest, why),
    }
    assert verify(target.folder).problems == ()


def test_a_plan_is_refused_when_what_stands_there_has_moved(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    early = target.plan(bundle, target.observe())
    deploy(target, other)
    before = digest_folder(target.folder)
    with pytest.raises(DeploymentFailed, match="changed since the plan was made") as caught:
        target.apply(early)
    assert caught.value.exit_code == 1
    assert digest_folder(target.folder) == before


def test_a_plan_is_refused_when_something_moves_while_the_bundle_is_copied(
    bundle: Bundle, other: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, rival = target_at(tmp_path), target_at(tmp_path, pid=2)
    real = module._copy_layout

    def copy_slowly(source: Path, folder: Path) -> int:
        monkeypatch.setattr(module, "_copy_layout", real)
        deploy(rival, other)
        return real(source, folder)

    monkeypatch.setattr(module, "_copy_layout", copy_slowly)
    with pytest.raises(DeploymentFailed, match="changed since the plan was made"):
        deploy(target, bundle)
    assert verify(target.folder).digest == other.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "extras", "model", "other", "served"]


def test_a_plan_is_refused_when_the_policy_has_changed(bundle: Bundle, tmp_path: Path) -> None:
    plan = target_at(tmp_path).plan(bundle, None)
    rule = Rule("a", "https://a.example:443/**", ("read",))
    with pytest.raises(DeploymentFailed, match="or the policy"):
        target_at(tmp_path, policy=Policy((Layer("codex.toml", (rule,)),))).apply(plan)


def test_a_tampered_bundle_is_not_deployed_and_nothing_is_overwritten(
    bundle: Bundle, other: Bundle, tmp_path: Path
) -> None:
    target = target_at(tmp_path)
    deploy(target, other)
    before = digest_folder(target.folder)
    for blob in (bundle.path / "blobs" / "sha256").iterdir():
        if blob.name == bundle.resources["files/model.safetensors"].removeprefix("sha256:"):
            blob.write_bytes(blob.read_bytes()[:-1] + b"\xff")
    with pytest.raises(VerificationError, match="its name says another"):
        deploy(target, bundle)
    assert digest_folder(target.folder) == before
    assert not list(tmp_path.glob(".*"))


def test_a_bundle_exchanged_after_the_plan_is_not_deployed(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    target = target_at(tmp_path)
    plan = target.plan(dataclasses.replace(bundle, path=other.path), None)
    with pytest.raises(VerificationError, match="not the bundle"):
        target.apply(plan)
    assert not target.folder.exists()


@pytest.mark.parametrize(
    "occupy",
    [
        lambda place, bundle: place.write_text("file"),
        lambda place, bundle: (place.mkdir(), (place / "mine").write_text("mine")),
        lambda place, bundle: bundle.path.rename(place),
        lambda place, bundle: place.symlink_to(bundle.path),
        lambda place, bundle: place.symlink_to("nowhere"),
    ],
    ids=["a file", "a folder", "a bundle", "a link", "a broken link"],
)
def test_what_is_no_deployment_is_never_replaced(
    bundle: Bundle, tmp_path: Path, occupy: Callable[[Path, Bundle], object]
) -> None:
    target = target_at(tmp_path)
    occupy(target.folder, bundle)
    before = sorted(str(path) for path in target.folder.rglob("*"))
    for use in (target.observe, target.status):
        with pytest.raises(DeploymentFailed, match="is no deployment") as caught:
            use()
        assert caught.value.hint
    assert sorted(str(path) for path in target.folder.rglob("*")) == before


def test_an_empty_folder_is_free(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    deploy(target_at(tmp_path), bundle)
    assert verify(tmp_path / "served").problems == ()


def test_a_url_names_a_folder_as_written_beside_the_project_or_anywhere(tmp_path: Path) -> None:
    assert target_folder("file:served", tmp_path) == tmp_path / "served"
    assert target_folder("served/lm/", tmp_path) == tmp_path / "served" / "lm"
    assert target_folder("file:../a%20b", tmp_path / "x") == tmp_path / "a b"
    assert target_folder("file:///srv/models", tmp_path) == Path("/srv/models")
    for url in ("s3://bucket", "https://a.example/x", "file:"):
        with pytest.raises(UrlError) as caught:
            target_folder(url, tmp_path)
        assert caught.value.hint
