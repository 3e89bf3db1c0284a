from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from codex_core.digest import digest_json
from codex_core.policy import Policy
from codex_core.status import Bundle, Observed, Step, TargetConfig
from codex_deploy.plan import compare_resources, is_done, make_plan

BUNDLE = Bundle(Path("bundle"), "lm", "sha256:b", {"a": "1"})
CONFIG = TargetConfig("prod", "dir", "file:served")
resources = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"))


def test_each_resource_has_its_step_with_digests_and_why() -> None:
    before, after = {"gone": "1", "kept": "2", "old": "3"}, {"kept": "2", "old": "4", "new": "5"}
    assert list(compare_resources(before, after)) == [
        Step("remove", "gone", "1", None, "the bundle does not have it"),
        Step("keep", "kept", "2", "2", "it stands there already"),
        Step("create", "new", None, "5", "nothing that verifies stands there"),
        Step("update", "old", "3", "4", "something else stands there"),
    ]


@given(resources, resources)
def test_the_steps_lead_from_one_to_the_other(before: dict[str, str], after: dict[str, str]) -> None:
    steps = list(compare_resources(before, after))
    assert {step.resource: step.before for step in steps if step.before is not None} == before
    assert {step.resource: step.after for step in steps if step.after is not None} == after
    assert is_done(steps) == (before == after)


def test_the_generation_grows_when_something_is_done() -> None:
    create, keep = Step("create", "a", None, "1", ""), Step("keep", "a", "1", "1", "")

    def generation(step: Step, current: Observed | None) -> int:
        return make_plan(BUNDLE, CONFIG, Policy(), [step], current).spec.generation

    assert generation(create, None) == 1
    assert generation(create, Observed({}, 4)) == 5
    assert generation(keep, Observed({"a": "1"}, 4)) == 4
    assert generation(keep, Observed({"a": "1"})) == 1


def test_the_spec_names_what_decides_the_outcome() -> None:
    step = Step("create", "a", None, "1", "why")
    spec = make_plan(BUNDLE, CONFIG, Policy(), [step], None).spec
    assert (spec.target, spec.kind, spec.url, spec.bundle) == ("prod", "dir", "file:served", "sha256:b")
    assert (spec.policy, spec.plan) == (Policy().digest, digest_json([step.to_json()]))
