from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

from codex_core.digest import canonical_json, digest_bytes
from codex_core.policy import Decision, Layer, Policy, Rule
from codex_core.status import (
    Bundle,
    Condition,
    Observed,
    Plan,
    Spec,
    StatusBlock,
    Step,
    Target,
    TargetConfig,
    TargetContext,
    TargetFallback,
)

SPEC = Spec("prod", "dir", "file:///srv/models", "sha256:aa", "sha256:bb", "sha256:cc", 3)
STEPS = (
    Step("create", "config.json", None, "sha256:01", "it is absent"),
    Step("refuse", "https://a.example:443/", None, None, "no rule allows it"),
)
CONDITION = Condition("Ready", "False", "Refused", "the policy refused a step", 3)
DECISION = Decision("refuse", None, "no rule", "a rule", "https://a.example:443/", "write", "deploy", "sha256:bb")
FALLBACK = TargetFallback(1, "mirror", usable=True, reason="its folder can be written")
BLOCK = StatusBlock(SPEC, STEPS, (CONDITION,), (DECISION,), (FALLBACK,), {"mode": "offline", "pid": 7})
RECORDED: list[Decision] = []
CONTEXT = TargetContext(Path("/pipeline"), {}, Policy(), "deploy", datetime(2026, 3, 4, tzinfo=UTC), RECORDED.append)

CONTENT = {
    "apiVersion": "codex/v1",
    "kind": "StatusBlock",
    "spec": {
        "target": "prod",
        "kind": "dir",
        "url": "file:///srv/models",
        "bundle": "sha256:aa",
        "policy": "sha256:bb",
        "plan": "sha256:cc",
        "generation": 3,
    },
    "plan": [
        {"op": "create", "resource": "config.json", "before": None, "after": "sha256:01", "why": "it is absent"},
        {
            "op": "refuse",
            "resource": "https://a.example:443/",
            "before": None,
            "after": None,
            "why": "no rule allows it",
        },
    ],
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "Refused",
            "message": "the policy refused a step",
            "observedGeneration": 3,
        }
    ],
    "decisions": [
        {
            "verdict": "refuse",
            "rule": None,
            "reason": "no rule",
            "remedy": "a rule",
            "url": "https://a.example:443/",
            "verb": "write",
            "stage": "deploy",
            "policy": "sha256:bb",
            "enforced_by": "client",
        }
    ],
    "fallbacks": [{"order": 1, "target": "mirror", "usable": True, "reason": "its folder can be written"}],
}


def test_a_block_shows_its_content_then_its_digest_then_what_was_observed() -> None:
    digest = digest_bytes(canonical_json(CONTENT))
    assert BLOCK.to_json() == {**CONTENT, "digest": digest, "observed": {"mode": "offline", "pid": 7}}
    assert list(BLOCK.to_json()) == [*CONTENT, "digest", "observed"]


def test_what_was_observed_does_not_change_the_digest() -> None:
    online = dataclasses.replace(BLOCK, observed={"mode": "online", "pid": 8, "at": "2026-03-04T05:06:07Z"})
    assert online.digest == BLOCK.digest
    assert online.to_json() != BLOCK.to_json()


def test_everything_else_changes_the_digest() -> None:
    changed = [
        dataclasses.replace(BLOCK, spec=dataclasses.replace(SPEC, generation=4)),
        dataclasses.replace(BLOCK, plan=STEPS[::-1]),
        dataclasses.replace(BLOCK, conditions=()),
        dataclasses.replace(BLOCK, decisions=()),
        dataclasses.replace(BLOCK, fallbacks=()),
    ]
    assert len({BLOCK.digest, *(block.digest for block in changed)}) == 6


def test_a_block_has_one_digest_on_every_machine() -> None:
    block = StatusBlock(SPEC, (), ())
    assert block.digest == digest_bytes(
        b'{"apiVersion":"codex/v1","conditions":[],"decisions":[],"fallbacks":[],"kind":"StatusBlock","plan":[],'
        b'"spec":{"bundle":"sha256:aa","generation":3,"kind":"dir","plan":"sha256:cc","policy":"sha256:bb",'
        b'"target":"prod","url":"file:///srv/models"}}'
    )
    assert json.loads(canonical_json(block.to_json()))["observed"] == {}


def test_a_target_is_known_by_its_members() -> None:
    class Nowhere:
        contract = 1

        def __init__(self, config: TargetConfig, context: TargetContext) -> None:
            self.name = config.name

        def observe(self) -> Observed | None:
            return None

        def plan(self, bundle: Bundle, current: Observed | None) -> Plan:
            before = current.resources if current else {}
            steps = tuple(Step("keep", name, digest, digest, bundle.name) for name, digest in before.items())
            return Plan(bundle, SPEC, steps)

        def apply(self, plan: Plan) -> StatusBlock:
            return StatusBlock(plan.spec, plan.steps, ())

        def status(self) -> StatusBlock:
            return BLOCK

    target = Nowhere(TargetConfig("prod", "dir", "file:served"), CONTEXT)
    assert isinstance(target, Target)
    plan = target.plan(Bundle(Path("layout"), "lm", "sha256:aa"), Observed({"a": "sha256:01"}))
    assert target.apply(plan).plan == (Step("keep", "a", "sha256:01", "sha256:01", "lm"),)
    assert target.plan(Bundle(Path("layout"), "lm", "sha256:aa"), None).steps == ()


def test_a_context_records_what_it_decides_and_not_what_it_judges() -> None:
    RECORDED.clear()
    judged = CONTEXT.judge("write", "https://a.example/v2/lm/manifests/1")
    assert (judged.verdict, judged.stage, RECORDED) == ("refuse", "deploy", [])
    assert CONTEXT.decide("write", "https://a.example/v2/lm/manifests/1") == judged
    assert RECORDED == [judged]


def test_the_remedy_of_a_request_with_a_scope_allows_all_of_it() -> None:
    urls = ("https://a.example/v2/lm/blobs/uploads/", "https://a.example/v2/lm/manifests/1")
    scope = "https://a.example:443/v2/lm/**"
    [remedy] = {CONTEXT.judge("write", url, scope=scope).remedy for url in urls}
    assert remedy is not None
    assert f'url = "{scope}"' in remedy
    allowing = Policy((Layer("codex.toml", allow=(Rule("a", scope, ("write",), ("deploy",)),)),))
    context = dataclasses.replace(CONTEXT, policy=allowing)
    assert all(context.judge("write", url, scope=scope).allowed for url in urls)
