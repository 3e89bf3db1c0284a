"""The target ``registry``: planned and judged in full, and answered by a block; this release has no registry client.

Source: the OCI distribution specification 1.1, end-4b (a blob in one POST) and end-7 (PUT of a manifest by tag). Only
the bundle's content is planned: the attestation differs from run to run. No socket is opened and no name looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from codex_core.errors import DeploymentFailed
from codex_core.status import Condition, Spec, StatusBlock, Step
from codex_deploy.blocks import observed_block
from codex_deploy.plan import make_plan
from codex_deploy.targets.fallbacks import enumerate_fallbacks
from codex_deploy.targets.repository import parse_repository
from codex_deploy.verification import require_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_core.policy import Decision, Verb
    from codex_core.status import Bundle, Observed, Plan, TargetConfig, TargetContext

    Ask = Callable[[Verb, str], Decision]

_NO_CLIENT = "this release has no registry client"


class RegistryTarget:
    """The repository that the target's ``url`` names: ``https://HOST[:PORT]/NAME[:TAG]``; ``oci://`` means https."""

    contract: ClassVar[int] = 1

    def __init__(self, config: TargetConfig, context: TargetContext) -> None:
        self._config, self._context = config, context
        self._repository = parse_repository(config.url)

    def observe(self) -> Observed | None:
        """None: only a network could tell."""
        return None

    def plan(self, bundle: Bundle, current: Observed | None) -> Plan:
        """A step for each blob and for the manifest, after them: created, or refused as the policy would."""
        steps = list(self._steps(bundle, self._judge))
        return make_plan(bundle, self._config, self._context.policy, steps, current)

    def apply(self, plan: Plan) -> StatusBlock:
        """Ask the policy, and say in a block what it answered and why nothing was sent.

        DeploymentFailed if the plan would be another one today; VerificationError if the bundle does not verify.
        """
        require_verified(plan.bundle.path)
        if self.plan(plan.bundle, self.observe()) != plan:
            message = f"the policy or target {self._config.name!r} has changed since the plan was made"
            raise DeploymentFailed(message, hint="look at it with `codex deploy plan`, and apply again")
        decisions = tuple(self._decide(*request) for request in self._requests(plan.bundle))
        refused = next((decision for decision in decisions if not decision.allowed), None)
        fallbacks = enumerate_fallbacks(self._config, self._context)
        conditions = _conditions(refused, plan.spec.generation)
        return self._observed(StatusBlock(plan.spec, plan.steps, conditions, decisions, fallbacks))

    def status(self) -> StatusBlock:
        """A block that says that what stands there is not known."""
        config = self._config
        spec = Spec(config.name, config.kind, config.url, "", self._context.policy.digest, "", 0)
        ready = Condition("Ready", "Unknown", "NoClient", f"{_NO_CLIENT}, so nothing was asked", 0)
        return self._observed(StatusBlock(spec, (), (ready,)))

    def _requests(self, bundle: Bundle) -> tuple[tuple[Verb, str], ...]:
        return ("write", self._repository.uploads()), ("write", self._repository.manifest(bundle.name))

    def _steps(self, bundle: Bundle, ask: Ask) -> Iterator[Step]:
        blobs, manifest = (ask(*request) for request in self._requests(bundle))
        resources = dict(bundle.resources)
        top = resources.pop("manifest")
        for digest in dict.fromkeys(resources[name] for name in sorted(resources)):
            yield _step(blobs, self._repository.blob(digest), digest)
        yield _step(manifest, self._repository.manifest(bundle.name), top)

    def _judge(self, verb: Verb, url: str) -> Decision:
        return self._context.judge(verb, url, scope=self._repository.scope)

    def _decide(self, verb: Verb, url: str) -> Decision:
        return self._context.decide(verb, url, scope=self._repository.scope)

    def _observed(self, block: StatusBlock) -> StatusBlock:
        return observed_block(block, {**self._context.observed, "mode": "offline", "bytes": 0})


def _step(decision: Decision, resource: str, digest: str) -> Step:
    return Step("create" if decision.allowed else "refuse", resource, None, digest, decision.reason)


def _conditions(refused: Decision | None, generation: int) -> tuple[Condition, ...]:
    if refused is not None:
        message = f"{refused.reason}; to allow it:\n{refused.remedy}"
        return (
            Condition("Allowed", "False", "PolicyRefused", message, generation),
            Condition("Ready", "False", "Refused", "nothing was sent", generation),
        )
    return (
        Condition("Allowed", "True", "RulesMatched", "the policy allows every request", generation),
        Condition("Ready", "False", "NoClient", f"{_NO_CLIENT}, so nothing was sent", generation),
    )
