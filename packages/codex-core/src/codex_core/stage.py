"""Stages: a step of a pipeline as a function behind an entry point, and what it is handed when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from codex_core.errors import ConfigError, Problem
from codex_core.policy import Request, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from codex_core.policy import Decision, Policy, Verb
    from codex_core.shape import Shape
    from codex_core.status import TargetConfig
    from codex_core.storage import StoreConfig


@dataclass(frozen=True)
class Attestation:
    """What was enforced around a stage: the guard level, the policy's digest, and how far the ledger had come.

    ``interfaces`` and ``routes`` are those of the stage's own network, ``attempts`` counts its packets for which there
    was no route; None where it had no network of its own.
    """

    guard: str
    policy: str
    ledger_entries: int
    ledger_head: str | None
    interfaces: tuple[str, ...] | None = None
    routes: tuple[str, ...] | None = None
    attempts: int | None = None

    def to_json(self) -> dict[str, object]:
        """The object that a record, and a bundle's attestation manifest, holds."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class StageContext:
    """All that a stage may use: its folder, its inputs and outputs, the seed, the stores and the policy.

    ``inputs`` and ``outputs`` are absolute paths below ``folder``, in the order in which the pipeline file names them.
    A stage reads its inputs, and creates each output itself. ``record`` keeps a Decision in the ledger and in the
    stage's record; ``pin`` notes the digest of what was read from a place in a store.

    ``root`` is the pipeline's folder, where the relative URLs of ``targets`` begin. ``runs`` is a folder of this stage
    alone that outlives its process: what is half done there can be gone on with after a kill. ``forced``: somebody
    asked for the work to be done once more, although nothing that decides it may have changed.

    ``attestation`` is what was enforced when this stage began; ``history`` has that of the stages that it builds on, as
    it was when they ended.
    """

    stage: str
    folder: Path
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    seed: int
    stores: Mapping[str, StoreConfig]
    policy: Policy
    now: datetime
    record: Callable[[Decision], None]
    pin: Callable[[str, str], None]
    root: Path
    runs: Path
    forced: bool
    targets: Mapping[str, TargetConfig]
    attestation: Attestation
    history: Mapping[str, Attestation] = field(default_factory=dict)

    def check(self, shape: Shape) -> None:
        """ConfigError, with every mistake, unless there are as many inputs and outputs as ``shape`` says."""
        told = [
            Problem(ConfigError.code, f"stage {self.stage!r} {message}", hint)
            for _, message, hint in shape.mistakes(self.inputs, self.outputs)
        ]
        if told:
            raise ConfigError(told[0].message, hint=told[0].hint, problems=told)

    def decide(self, verb: Verb, url: str) -> Decision:
        """The policy's answer to this stage's wish to reach ``url``, recorded."""
        decision = decide(self.policy, Request(verb, url, self.stage, "stage"), now=self.now)
        self.record(decision)
        return decision


@runtime_checkable
class Stage(Protocol):
    """What ``uses = "NAME"`` names: a callable with a parameter model.

    ``contract`` is the version of this protocol that it was written for.
    """

    contract: ClassVar[int]

    def params(self) -> type:
        """The pydantic model of the ``with`` table, imported on call; it forbids unknown keys."""
        ...

    def __call__(self, ctx: StageContext, params: Any) -> None:  # Any: an instance of this stage's own model
        """Read ``ctx.inputs``, create ``ctx.outputs``; a CodexError, or any exception, fails the stage."""
        ...


@runtime_checkable
class ShapedStage(Protocol):
    """A Stage that takes and makes just so much, so that a pipeline file with anything else has a mistake."""

    shape: ClassVar[Shape]


@runtime_checkable
class StageFamily(Stage, Protocol):
    """A Stage whose entry point is ``NAME``, and that is used as ``NAME.MEMBER``: the stage ``train``, as train.lm."""

    def member(self, name: str) -> Stage:
        """The stage of this member; PluginUnknown, naming those that there are, if there is none."""
        ...


@runtime_checkable
class StoreReader(Protocol):
    """A Stage that reads stores besides its inputs, so that its freshness depends on them."""

    def sources(self, params: Any, stores: Mapping[str, StoreConfig]) -> Mapping[str, str | None]:
        """Each place read, with the digest of its listing today; None where only a network could tell.

        ``params`` is an instance of the stage's own model (hence Any). A CodexError says that a place cannot be read.
        """
        ...


@runtime_checkable
class TargetReader(Protocol):
    """A Stage that deploys, so that its freshness depends on the tables of targets."""

    def targets(self, params: Any, targets: Mapping[str, TargetConfig]) -> Mapping[str, TargetConfig]:
        """Those of ``targets`` that decide what it does; a CodexError says that a target is not there.

        ``params`` is an instance of the stage's own model (hence Any).
        """
        ...


@runtime_checkable
class PluginUser(Protocol):
    """A Stage that hands its work to other plug-ins, whose code its freshness then depends on as on its own."""

    def plug_ins(self) -> Sequence[object]:
        """The plug-ins that it may hand work to."""
        ...


@runtime_checkable
class EnvironmentReader(Protocol):
    """A Stage whose bits depend on more of the machine than Python, so that its freshness does."""

    def environment(self) -> Mapping[str, str]:
        """What that is, by names such as ``torch`` or ``cpu``; cheaply, since it is asked before each run."""
        ...


@runtime_checkable
class RefusalTeller(Protocol):
    """A Stage whose output itself says why it was refused; of any other, the runner makes the output say so."""

    tells_refusals: ClassVar[bool]
