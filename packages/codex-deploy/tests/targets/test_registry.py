from __future__ import annotations

import dataclasses
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_core.errors import DeploymentFailed, PolicyRefused, VerificationError
from codex_core.policy import Decision, Layer, Policy, Rule
from codex_core.status import Bundle, StatusBlock, TargetConfig, TargetContext
from codex_deploy.outcome import failure_of
from codex_deploy.targets.registry import RegistryTarget

URL = "https://Registry.example/models/lm"
ROOT = "https://registry.example:443/v2/models/lm"
TARGETS = {
    "hub": TargetConfig("hub", "registry", URL, ("local", "kube")),
    "local": TargetConfig("local", "dir", "file:served"),
    "kube": TargetConfig("kube", "kserve", "kube://x"),
}


def target_with(policy: Policy, record: list[Decision], *, pid: int = 1) -> RegistryTarget:
    now = datetime(2026, 3, 4, tzinfo=UTC)
    context = TargetContext(Path("/p"), TARGETS, policy, "offer", now, record.append, {"pid": pid})
    return RegistryTarget(TARGETS["hub"], context)


def allowing(*urls: str) -> Policy:
    rules = tuple(Rule(f"r{number}", url, ("write",), ("offer",)) for number, url in enumerate(urls))
    return Policy((Layer("codex.toml", rules),))


def offer(target: RegistryTarget, bundle: Bundle) -> StatusBlock:
    return target.apply(target.plan(bundle, target.observe()))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        pytest.fail("a socket or a look-up")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)


def test_every_blob_and_the_manifest_have_a_step_with_the_url_that_they_would_have(bundle: Bundle) -> None:
    plan = target_with(allowing(f"{ROOT}/**"), []).plan(bundle, None)
    digests = [digest for name, digest in sorted(bundle.resources.items()) if name != "manifest"]
    assert [(step.op, step.resource, step.before, step.after) for step in plan.steps] == [
        *(("create", f"{ROOT}/blobs/{digest}", None, digest) for digest in digests),
        ("create", f"{ROOT}/manifests/lm", None, bundle.digest),
    ]


def test_a_refusal_is_a_block_with_decisions_fallbacks_and_one_rule_for_all(bundle: Bundle) -> None:
    recorded: list[Decision] = []
    block = offer(target_with(Policy(), recorded), bundle)
    assert {step.op for step in block.plan} == {"refuse"}
    assert [(one.verb, one.url) for one in block.decisions] == [
        ("write", f"{ROOT}/blobs/uploads/"),
        ("write", f"{ROOT}/manifests/lm"),
    ]
    assert tuple(recorded) == block.decisions
    [remedy] = {one.remedy for one in block.decisions}
    assert remedy is not None
    assert f'url = "{ROOT}/**"' in remedy
    assert [(one.order, one.target, one.usable) for one in block.fallbacks] == [(1, "local", True), (2, "kube", False)]
    assert [(one.type, one.status, one.reason) for one in block.conditions] == [
        ("Allowed", "False", "PolicyRefused"),
        ("Ready", "False", "Refused"),
    ]
    assert remedy in block.conditions[0].message


def test_a_refusal_is_an_error_that_names_the_usable_fallback(bundle: Bundle) -> None:
    failure = failure_of(offer(target_with(Policy(), []), bundle))
    assert isinstance(failure, PolicyRefused)
    assert failure.exit_code == 77
    assert failure.hint is not None
    assert "# or deploy to its fallback 'local': file:served is on this machine" in failure.hint
    assert [one.store for one in failure.fallbacks] == ["local", "kube"]


def test_the_rule_that_the_remedy_names_allows_it_and_then_there_is_no_client(bundle: Bundle) -> None:
    block = offer(target_with(allowing(f"{ROOT}/**"), []), bundle)
    assert all(decision.allowed for decision in block.decisions)
    assert [(one.type, one.status, one.reason) for one in block.conditions] == [
        ("Allowed", "True", "RulesMatched"),
        ("Ready", "False", "NoClient"),
    ]
    failure = failure_of(block)
    assert isinstance(failure, DeploymentFailed)
    assert (failure.exit_code, "no registry client" in failure.message, bool(failure.hint)) == (1, True, True)


def test_a_rule_for_a_part_refuses_the_rest(bundle: Bundle) -> None:
    block = offer(target_with(allowing(f"{ROOT}/blobs/**"), []), bundle)
    assert [step.op for step in block.plan] == ["create"] * 5 + ["refuse"]
    assert isinstance(failure_of(block), PolicyRefused)


def test_the_block_is_the_same_but_for_what_was_observed(bundle: Bundle, tmp_path: Path) -> None:
    one, other = (offer(target_with(Policy(), [], pid=pid), bundle) for pid in (1, 2))
    assert one != other
    assert one.digest == other.digest
    moved = dataclasses.replace(bundle, path=bundle.path.rename(tmp_path / "elsewhere"))
    assert offer(target_with(Policy(), []), moved).digest == one.digest


def test_a_plan_is_refused_when_the_policy_has_changed(bundle: Bundle) -> None:
    plan = target_with(allowing(f"{ROOT}/**"), []).plan(bundle, None)
    with pytest.raises(DeploymentFailed, match="has changed since the plan was made"):
        target_with(Policy(), []).apply(plan)


def test_a_tampered_bundle_is_not_offered(bundle: Bundle) -> None:
    (bundle.path / "oci-layout").write_text("{}")
    recorded: list[Decision] = []
    with pytest.raises(VerificationError):
        offer(target_with(Policy(), recorded), bundle)
    assert recorded == []


def test_what_the_registry_holds_is_unknown() -> None:
    block = target_with(Policy(), []).status()
    assert [(one.type, one.status, one.reason) for one in block.conditions] == [("Ready", "Unknown", "NoClient")]
    assert isinstance(failure_of(block), DeploymentFailed)
