"""Plans: what has to be done to each resource, from what stands at a target and what a bundle is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.digest import digest_json
from codex_core.status import Plan, Spec, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from codex_core.policy import Policy
    from codex_core.status import Bundle, Observed, TargetConfig


def compare_resources(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Step]:
    """One step for each resource, in the order of their names."""
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if new is None:
            yield Step("remove", name, old, None, "the bundle does not have it")
        elif old is None:
            yield Step("create", name, None, new, "nothing that verifies stands there")
        elif old == new:
            yield Step("keep", name, old, new, "it stands there already")
        else:
            yield Step("update", name, old, new, "something else stands there")


def make_plan(
    bundle: Bundle, config: TargetConfig, policy: Policy, steps: Sequence[Step], current: Observed | None
) -> Plan:
    """The plan with these steps. Its generation is the next one after the current, unless nothing is to be done."""
    generation = current.generation if current else 0
    if generation == 0 or not is_done(steps):
        generation += 1
    digest = digest_json([step.to_json() for step in steps])
    spec = Spec(config.name, config.kind, config.url, bundle.digest, policy.digest, digest, generation)
    return Plan(bundle, spec, tuple(steps))


def is_done(steps: Sequence[Step]) -> bool:
    """Whether everything already is as it should be."""
    return all(step.op == "keep" for step in steps)
