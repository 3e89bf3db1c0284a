"""Status: bundles and targets, the plan of a deployment, and the status block, the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, runtime_checkable

from codex_core.digest import digest_json
from codex_core.policy import Request, decide

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from codex_core.policy import Decision, Policy, Verb

API_VERSION = "codex/v1"
KIND = "StatusBlock"

Op = Literal["create", "update", "keep", "remove", "refuse"]


TargetKind = Literal["dir", "oci-layout", "registry", "process", "kserve"]


@dataclass(frozen=True)
class TargetConfig:
    """A ``[targets.NAME]`` table. ``url`` is as written; ``fallbacks`` are names of other targets, in their order."""

    name: str
    kind: TargetKind
    url: str
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """A packaged model: the folder of its OCI image layout, its name, and the digest of its model manifest.

    ``resources`` are the digests of what it is made of, by name: ``manifest``, ``config``, and ``files/PATH``.
    """

    path: Path
    name: str
    digest: str
    resources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """What stands at a target now: resource names and their digests, and the generation last applied."""

    resources: Mapping[str, str]
    generation: int = 0


@dataclass(frozen=True)
class Step:
    """One line of a plan: what is done to a resource, its digest before and after (None: absent), and why."""

    op: Op
    resource: str
    before: str | None
    after: str | None
    why: str

    def to_json(self) -> dict[str, str | None]:
        """The object that ``plan`` of a status block shows."""
        return dict(vars(self))


@dataclass(frozen=True)
class Spec:
    """What was asked: the target by name and kind, its URL as written, and the digests that decide the outcome."""

    target: str
    kind: str
    url: str
    bundle: str
    policy: str
    plan: str
    generation: int

    def to_json(self) -> dict[str, str | int]:
        """The object that ``spec`` of a status block shows."""
        return dict(vars(self))


@dataclass(frozen=True)
class Plan:
    """What an apply would do with ``bundle``, in the order in which it would be done."""

    bundle: Bundle
    spec: Spec
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Condition:
    """One aspect of a deployment, shaped like a Kubernetes condition (meta/v1, Condition), without its clock."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    observed_generation: int

    def to_json(self) -> dict[str, str | int]:
        """The object that ``conditions`` of a status block shows."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "observedGeneration": self.observed_generation,
        }


@dataclass(frozen=True)
class TargetFallback:
    """Another target that could take the bundle, in the order in which the pipeline file names them."""

    order: int
    target: str
    usable: bool
    reason: str

    def to_json(self) -> dict[str, object]:
        """The object that ``fallbacks`` of a status block shows."""
        return dict(vars(self))


@dataclass(frozen=True)
class StatusBlock:
    """The answer of a deployment. ``observed`` (mode, at, host, pid, bytes, ledger) is outside the digest."""

    spec: Spec
    plan: tuple[Step, ...]
    conditions: tuple[Condition, ...]
    decisions: tuple[Decision, ...] = ()
    fallbacks: tuple[TargetFallback, ...] = ()
    observed: Mapping[str, object] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of everything but ``observed``: the same plan gives the same one, offline and online."""
        return digest_json(self._content())

    def to_json(self) -> dict[str, object]:
        """The block as status.json and ``--json`` show it."""
        return {**self._content(), "digest": self.digest, "observed": dict(self.observed)}

    def _content(self) -> dict[str, object]:
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "spec": self.spec.to_json(),
            "plan": [step.to_json() for step in self.plan],
            "conditions": [condition.to_json() for condition in self.conditions],
            "decisions": [decision.to_json() for decision in self.decisions],
            "fallbacks": [fallback.to_json() for fallback in self.fallbacks],
        }


@dataclass(frozen=True)
class TargetContext:
    """What a target may use besides its table: where relative URLs begin, the other targets, and the policy.

    ``stage`` is on whose behalf it asks the policy at the time ``now``; ``record`` keeps a Decision. ``observed`` is
    what the caller knows of itself for that part of a block: at, host, pid, ledger.
    """

    root: Path
    targets: Mapping[str, TargetConfig]
    policy: Policy
    stage: str
    now: datetime
    record: Callable[[Decision], None]
    observed: Mapping[str, object] = field(default_factory=dict)

    def judge(self, verb: Verb, url: str, *, scope: str | None = None) -> Decision:
        """The policy's answer to a request that nobody makes yet, so that it is not recorded."""
        return decide(self.policy, Request(verb, url, self.stage, "target", scope), now=self.now)

    def decide(self, verb: Verb, url: str, *, scope: str | None = None) -> Decision:
        """The policy's answer to a request, recorded."""
        decision = self.judge(verb, url, scope=scope)
        self.record(decision)
        return decision


@runtime_checkable
class Target(Protocol):
    """Where a bundle goes. ``contract`` is the version of this protocol it was written for.

    The entry point of ``codex.targets`` for a kind of target is a class, made from the target's table and a context.
    """

    contract: ClassVar[int]

    def __init__(self, config: TargetConfig, context: TargetContext) -> None: ...

    def observe(self) -> Observed | None:
        """What stands there now; None if nothing does, or nothing that could be known without a network."""
        ...

    def plan(self, bundle: Bundle, current: Observed | None) -> Plan:
        """What applying ``bundle`` would do to what stands there now; pure."""
        ...

    def apply(self, plan: Plan) -> StatusBlock:
        """Do what ``plan`` says; PolicyRefused is answered as a block, never raised."""
        ...

    def status(self) -> StatusBlock:
        """What stands at the target now."""
        ...
