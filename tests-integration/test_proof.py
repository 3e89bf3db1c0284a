"""What ships can be verified without a network: every byte of a bundle, and the way from a selection to its status."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_core.checkpoint import CheckpointManifest, manifest_bytes
from codex_core.digest import canonical_json, list_folder
from codex_core.project import read_project
from codex_core.status import TargetContext
from codex_deploy import open_bundle, open_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Codex

    from codex_core.policy import Decision

FULL = os.environ.get("CODEX_MATRIX") == "full"
EVERY = 128
"""Of how many bytes one is flipped, in the full matrix; codex-deploy's own tests flip each, without the command."""
PIPELINE = """\
[pipeline]
name = "proof"

[stages.package]
uses = "deploy.package"
inputs = ["model", "README.md"]
outputs = ["bundle"]
with = { name = "proof" }
"""


def safetensors(values: int) -> bytes:
    """A whole safetensors file with one float32 tensor (github.com/huggingface/safetensors, Format)."""
    header = json.dumps({"weight": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + bytes(range(256)) * (4 * values // 256)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, deploying: Callable[[str], str]) -> Path:
    """A model folder, packaged and deployed by a pipeline."""
    root = tmp_path_factory.mktemp("proof") / "a project"
    (root / "model").mkdir(parents=True)
    (root / "model/model.safetensors").write_bytes(safetensors(640))
    config = {"schema": "codex.model/1", "task": "lm"}
    (root / "model/config.json").write_bytes(canonical_json(config) + b"\n")
    made_from = {"task": "lm", "data": f"sha256:{'1' * 64}", "code": f"sha256:{'2' * 64}", "params": {}, "seed": 7}
    manifest = CheckpointManifest(3, list_folder(root / "model"), made_from, {"threads": 1})
    (root / "model/manifest.json").write_bytes(manifest_bytes(manifest))
    (root / "README.md").write_text("# A model\n\nFor a test.\n")
    (root / "codex.toml").write_text(PIPELINE + deploying("proof"))
    done = subprocess.run(
        [sys.executable, "-m", "codex_cli", "run"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.mark.matrix
@pytest.mark.parametrize("place", ["bundle", "deployed"])
def test_a_flipped_byte_in_any_file_is_caught_and_its_file_is_named(
    codex: Codex, project: Path, tmp_path: Path, place: str
) -> None:
    copy = tmp_path / place
    shutil.copytree(project / place, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    assert len(files) >= 6
    for path in files:
        whole = path.read_bytes()
        positions = {0, len(whole) // 2, len(whole) - 1, *(range(0, len(whole), EVERY) if FULL else ())}
        for position in sorted(positions):
            damaged = bytearray(whole)
            damaged[position] ^= 1
            path.write_bytes(damaged)
            answer = codex("verify", str(copy), "--json")
            name = str(path.relative_to(copy))
            assert answer.exit == 4, (name, position, answer.out)
            assert any(problem["path"] == name for problem in answer.json["problems"]), (name, position, answer.out)
        path.write_bytes(whole)
    assert codex("verify", str(copy)).exit == 0


def test_verify_answers_with_kind_digest_and_problems(codex: Codex, project: Path) -> None:
    answer = codex("verify", "bundle", "--json", cwd=project)
    assert (answer.exit, answer.json["schema"], answer.json["problems"]) == (0, "codex.verify/1", [])
    assert answer.json["digest"].startswith("sha256:")
    deployed = codex("verify", "deployed", "--json", cwd=project)
    assert deployed.json["digest"] == answer.json["digest"]
    assert deployed.json["kind"] != answer.json["kind"]
    assert codex("verify", "nowhere", cwd=project).exit == 2
    assert codex("verify", "codex.toml", cwd=project).exit == 2


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_skopeo_copies_the_bundle_and_keeps_its_digest(codex: Codex, project: Path, tmp_path: Path) -> None:
    ours = codex("verify", "bundle", "--json", cwd=project).json["digest"]
    subprocess.run(
        ["skopeo", "copy", "--preserve-digests", "oci:bundle:proof", f"oci:{tmp_path}/copied:proof"],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (entry,) = json.loads((tmp_path / "copied/index.json").read_bytes())["manifests"]
    assert entry["digest"] == ours


def test_a_registry_is_planned_fully_and_refused_with_what_to_do(codex: Codex, project: Path) -> None:
    plan = codex("deploy", "plan", "bundle", "--target", "hub", "--json", cwd=project)
    assert plan.json["schema"] == "codex.deploy.plan/1"
    apply = codex("deploy", "apply", "bundle", "--target", "hub", "--json", cwd=project)
    assert apply.exit == 77
    block = apply.json["status"]
    assert block["spec"]["kind"] == "registry"
    assert block["spec"]["url"] == "https://registry.example:5000/models/proof"
    assert block["decisions"]
    assert all(decision["verdict"] == "refuse" for decision in block["decisions"])
    assert all("[[policy.allow]]" in decision["remedy"] for decision in block["decisions"])
    assert [fallback["target"] for fallback in block["fallbacks"]] == ["shelf"]
    again = codex("deploy", "apply", "bundle", "--target", "hub", "--json", cwd=project, TZ="Asia/Tokyo")
    assert again.json["status"]["digest"] == block["digest"]


def test_a_dir_target_is_planned_applied_and_kept(codex: Codex, project: Path) -> None:
    status = codex("deploy", "status", "--target", "shelf", "--json", cwd=project)
    assert (status.exit, status.json["status"]["spec"]["kind"]) == (0, "dir")
    plan = codex("deploy", "plan", "bundle", "--target", "shelf", "--json", cwd=project)
    assert plan.exit == 0
    assert {step["op"] for step in plan.json["status"]["plan"]} == {"keep"}


@pytest.mark.parametrize(
    ("url", "stale"),
    [("file:deployed", {"deploy", "offer"}), ("https://registry.example:5000/models/proof", {"offer"})],
)
def test_another_url_of_a_target_makes_its_stages_stale_and_is_named(
    codex: Codex, project: Path, tmp_path: Path, url: str, stale: set[str]
) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    file = copy / "codex.toml"
    file.write_text(file.read_text().replace(f'"{url}"', f'"{url}-2"'))
    stages = {stage["name"]: stage for stage in codex("plan", "--json", cwd=copy).json["stages"]}
    assert {name for name, stage in stages.items() if stage["state"] == "stale"} == stale
    for name in stale:
        (why,) = stages[name]["why"]
        assert f".url: {url!r} -> {url + '-2'!r}" in why


def test_a_stage_whose_target_is_not_there_is_a_mistake_with_its_place(
    codex: Codex, project: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    file = copy / "codex.toml"
    file.write_text(file.read_text().replace('target = "shelf"', 'target = "shlef"'))
    answer = codex("plan", cwd=copy)
    line = file.read_text().splitlines().index('with = { target = "shlef" }') + 1
    assert answer.exit == 2
    assert answer.err == f"codex.toml:{line}:1: there is no target 'shlef'; did you mean 'shelf'?\n"


def test_deploying_again_ends_in_the_same_status_block(codex: Codex, project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy)
    before = json.loads((copy / "deployed/status.json").read_text())
    assert codex("run", "--force=deploy", cwd=copy).exit == 0
    after = json.loads((copy / "deployed/status.json").read_text())
    assert after["observed"] != before["observed"]
    assert after["digest"] == before["digest"]


def test_a_model_folder_with_a_pickle_in_it_is_refused_by_name(codex: Codex, project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".codex", "bundle", "deployed"))
    (copy / "README.md").write_bytes(pickle.dumps({"weights": [1.0]}))
    run = codex("run", "--json", cwd=copy)
    assert run.exit == 1
    assert any("README.md" in error["message"] and "pickle" in error["message"] for error in run.json["errors"])
    assert not (copy / "bundle").exists()


def test_the_way_from_a_selected_registry_to_its_status_block_from_python(codex: Codex, project: Path) -> None:
    """The target is chosen by its name in the pipeline file, planned and applied, as the command line does."""
    asked: list[Decision] = []
    chosen = read_project(project / "codex.toml", {})
    context = TargetContext(
        root=chosen.root,
        policy=chosen.policy,
        stage="cli",
        now=datetime(2026, 5, 1, tzinfo=UTC),
        record=asked.append,
        targets=chosen.targets,
    )
    target = open_target("hub", context)
    bundle = open_bundle(project / "bundle")
    block = target.apply(target.plan(bundle, None))
    shown = codex("deploy", "apply", "bundle", "--target", "hub", "--json", cwd=project).json["status"]
    assert block.to_json()["digest"] == shown["digest"]
    assert {decision.verdict for decision in block.decisions} == {"refuse"}
    assert tuple(asked) == block.decisions
