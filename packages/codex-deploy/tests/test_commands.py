from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_core.command import Reply
from codex_core.errors import DeploymentFailed, UsageError, VerificationError
from codex_core.ledger import read
from codex_core.status import Bundle
from codex_deploy.command_list import COMMANDS
from codex_deploy.commands import app

PROJECT = """
[pipeline]
name = "example"

[targets.local]
kind = "dir"
url = "file:served"

[targets.hub]
kind = "registry"
url = "https://registry.example/models/lm"
fallbacks = ["local"]
"""


def answer(*words: str) -> Reply:
    reply = app(list(words), standalone_mode=False)
    assert isinstance(reply, Reply)
    assert json.loads(json.dumps(reply.body)) == reply.body
    return reply


def listed(reply: Reply, name: str) -> list[dict[str, Any]]:  # Any: JSON
    found = reply.body[name]
    assert isinstance(found, list)
    return found


@pytest.fixture
def project(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project around a model, its files and its bundle, in the working directory."""
    (tmp_path / "codex.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_create_shows_the_bundle_as_inspect_does(project: Path, bundle: Bundle) -> None:
    files = (f"extras/{name}" for name in ("README.md", "labels.json", "evaluation.json", "audit.json"))
    words = ("model", *files, "-o", "new", "--name", "lm")
    made, seen = answer("bundle", "create", *words), answer("bundle", "inspect", "new", "--json")
    assert (made.exit, made.body) == (0, seen.body)
    assert (made.body["digest"], made.body["name"]) == (bundle.digest, "lm")
    assert [layer["path"] for layer in listed(made, "layers")] == [
        "README.md",
        "config.json",
        "labels.json",
        "model.safetensors",
    ]
    assert made.text.startswith(f"lm {bundle.digest}\nin new\n")
    assert "by hand: nothing was enforced" in made.text


def test_inspect_shows_what_attests_to_a_bundle(project: Path, bundle: Bundle) -> None:
    reply = answer("bundle", "inspect", "bundle")
    [attestation] = listed(reply, "attestations")
    assert attestation["enforced"]["guard"] == "python"
    assert attestation["enforced"]["ledger_entries"] == 12
    assert (attestation["run"]["step"], attestation["run"]["environment"]["threads"]) == (20, 1)
    assert [layer["media_type"] for layer in attestation["layers"]] == [
        "application/vnd.codex.audit.v1+json",
        "application/vnd.codex.evaluation.v1+json",
        "application/vnd.codex.checkpoint.v1+json",
        "application/vnd.codex.statement.v1+json",
    ]
    lines = {" ".join(line.split()) for line in reply.text.splitlines()}
    assert {"guard python", f"ledger 12 entries, sha256:{'d' * 64}", "steps 20"} <= lines


@pytest.mark.parametrize("words", [("verify",), ("bundle", "verify")])
def test_verify_ends_with_4_and_names_the_file(project: Path, bundle: Bundle, words: tuple[str, ...]) -> None:
    good = answer(*words, "bundle")
    assert (good.exit, good.errors) == (0, ())
    assert good.body == {"kind": "layout", "digest": bundle.digest, "problems": []}
    assert good.text == f"layout bundle: verified, {bundle.digest}"
    (project / "bundle" / "oci-layout").write_text("{}")
    bad = answer(*words, "bundle", "--json")
    assert (bad.exit, bad.text) == (4, "layout bundle: 1 problem")
    [problem] = listed(bad, "problems")
    assert (problem["path"], problem["code"]) == ("oci-layout", "verify.mismatch")
    assert [error.file for error in bad.errors] == ["bundle/oci-layout"]


def test_verify_of_nothing_is_a_usage_error(project: Path) -> None:
    with pytest.raises(UsageError):
        answer("verify", "nowhere")


def test_a_bundle_is_planned_deployed_and_seen(project: Path, bundle: Bundle) -> None:
    plan = answer("deploy", "plan", "bundle", "--target", "local")
    assert plan.exit == 0
    assert "create  files/model.safetensors  nothing -> sha256:" in plan.text
    assert not (project / "served").exists()
    assert answer("deploy", "status", "--target", "local").exit == 1
    done = answer("deploy", "apply", "bundle", "--target", "local")
    assert (done.exit, done.errors) == (0, ())
    assert done.body["status"] == json.loads((project / "served" / "status.json").read_bytes())
    assert json.loads(done.text) == done.body["status"]
    seen = answer("deploy", "status", "--target", "local")
    assert seen.exit == 0
    assert digest_of(seen) == digest_of(done)
    assert answer("verify", "served").body == {"kind": "deployment", "digest": bundle.digest, "problems": []}
    assert answer("bundle", "inspect", "served").body["digest"] == bundle.digest
    assert "keep  manifest" in answer("deploy", "plan", "bundle", "--target", "local").text
    (project / "served" / "index.json").write_text("{}")
    assert answer("deploy", "status", "--target", "local").exit == 4


def digest_of(reply: Reply) -> object:
    status = reply.body["status"]
    assert isinstance(status, dict)
    return status["digest"]


def test_a_refused_deployment_ends_with_77_its_block_and_a_recorded_decision(project: Path) -> None:
    planned = answer("deploy", "plan", "bundle", "--target", "hub")
    assert planned.exit == 0
    assert "refuse  https://registry.example:443/v2/models/lm/manifests/lm" in planned.text
    assert not (project / ".codex").exists()
    refused = answer("deploy", "apply", "bundle", "--target", "hub")
    assert refused.exit == 77
    assert json.loads(refused.text) == refused.body["status"]
    [problem] = refused.errors
    assert problem.code == "policy.refused"
    assert problem.hint is not None
    assert 'url = "https://registry.example:443/v2/models/lm/**"' in problem.hint
    entries = list(read(project / ".codex" / "ledger.ndjson"))
    assert [entry.kind for entry in entries] == ["decision", "decision"]
    assert digest_of(answer("deploy", "apply", "bundle", "--target", "hub")) == digest_of(refused)


def test_with_the_rule_of_the_remedy_there_is_no_client_yet(project: Path) -> None:
    [problem] = answer("deploy", "apply", "bundle", "--target", "hub").errors
    assert problem.hint is not None
    (project / "codex.toml").write_text(f"{PROJECT}\n{problem.hint}\n")
    allowed = answer("deploy", "apply", "bundle", "--target", "hub")
    assert allowed.exit == 1
    [problem] = allowed.errors
    assert "no registry client" in problem.message


def test_an_unknown_target_is_a_usage_error_with_the_nearest_name(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="did you mean 'local'"):
        answer("deploy", "plan", "bundle", "--target", "lokal")
    (project / "codex.toml").unlink()
    with pytest.raises(UsageError, match=r"add \[targets.local\]"):
        answer("deploy", "status", "--target", "local")


def test_apply_takes_the_plan_that_was_looked_at_and_no_other(project: Path, bundle: Bundle) -> None:
    planned = answer("deploy", "plan", "bundle", "--target", "local", "--json")
    spec = planned.body["status"]["spec"]  # type: ignore[index]  # a status block
    assert f"plan {spec['plan']}, which" in planned.text
    with pytest.raises(DeploymentFailed, match="was asked for; look at it with `codex deploy plan`"):
        answer("deploy", "apply", "bundle", "--target", "local", "--plan", f"sha256:{'0' * 64}")
    assert not (project / "served").exists()
    assert answer("deploy", "apply", "bundle", "--target", "local", "--plan", spec["plan"]).exit == 0
    with pytest.raises(DeploymentFailed, match="the plan is sha256:"):
        answer("deploy", "apply", "bundle", "--target", "local", "--plan", spec["plan"])


def test_a_tampered_bundle_is_not_planned_for(project: Path) -> None:
    (project / "bundle" / "extra").write_text("x")
    with pytest.raises(VerificationError, match="extra"):
        answer("deploy", "plan", "bundle", "--target", "local")


def test_inspect_of_a_damaged_bundle_names_every_file_that_is_wrong(project: Path, bundle: Bundle) -> None:
    weights = f"blobs/sha256/{bundle.resources['files/model.safetensors'].removeprefix('sha256:')}"
    (project / "bundle" / weights).write_bytes(b"{}")
    (project / "bundle" / "extra").write_text("x")
    reply = answer("bundle", "inspect", "bundle", "--json")
    assert (reply.exit, reply.body["digest"]) == (4, bundle.digest)
    assert {problem["path"] for problem in listed(reply, "problems")} == {"extra", weights}
    assert {str(error.file) for error in reply.errors} == {"bundle/extra", f"bundle/{weights}"}
    with pytest.raises(UsageError, match="model is no bundle"):
        answer("bundle", "inspect", "model")


def test_the_command_list_names_what_the_app_answers() -> None:
    names = [leaf.name for leaf in COMMANDS.leaves]
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    found = [command.name for command in app.registered_commands]
    found += [f"{name} {one.name}" for name, group in groups.items() if group for one in group.registered_commands]
    assert sorted(names) == sorted(filter(None, found))
    assert {leaf.app for leaf in COMMANDS.leaves} == {"codex_deploy.commands:app"}
