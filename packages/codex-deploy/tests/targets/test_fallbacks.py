from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from codex_core.policy import Decision, Layer, Policy, Rule
from codex_core.status import TargetConfig, TargetContext, TargetFallback
from codex_deploy.targets.fallbacks import enumerate_fallbacks

TARGETS = {
    "hub": TargetConfig("hub", "registry", "https://a.example/x", ("far", "kube", "gone")),
    "far": TargetConfig("far", "registry", "https://far.example/x", ("near", "hub", "odd")),
    "near": TargetConfig("near", "dir", "file:near", ("far",)),
    "kube": TargetConfig("kube", "kserve", "https://kube.example/"),
    "odd": TargetConfig("odd", "registry", "nowhere"),
}


def fallbacks(policy: Policy) -> tuple[tuple[TargetFallback, ...], list[Decision]]:
    recorded: list[Decision] = []
    now = datetime(2026, 3, 4, tzinfo=UTC)
    context = TargetContext(Path("/p"), TARGETS, policy, "offer", now, recorded.append)
    return enumerate_fallbacks(TARGETS["hub"], context), recorded


def test_a_targets_own_fallbacks_come_first_then_theirs_each_once_and_nothing_is_recorded() -> None:
    found, recorded = fallbacks(Policy())
    assert found == (
        TargetFallback(
            1, "far", False, "no rule allows write of https://far.example:443/v2/x/blobs/uploads/ for stage 'offer'"
        ),
        TargetFallback(2, "kube", False, "no installed package has a target of kind kserve"),
        TargetFallback(3, "gone", False, "no target has this name"),
        TargetFallback(4, "near", True, "file:near is on this machine, where no policy is asked"),
        TargetFallback(5, "odd", False, "'nowhere' is not a URL"),
    )
    assert recorded == []


def test_an_allowed_registry_is_not_usable_without_a_client() -> None:
    rule = Rule("far", "https://far.example:443/v2/x/**", ("write",))
    found, _ = fallbacks(Policy((Layer("codex.toml", (rule,)),)))
    assert found[0] == TargetFallback(1, "far", False, "this release has no registry client")
