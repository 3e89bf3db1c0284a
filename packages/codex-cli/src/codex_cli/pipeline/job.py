"""What the runner hands to the process of a ``uses`` stage, and what it gets back: JSON in two memory files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_core.errors import Problem
from codex_core.members import from_members
from codex_core.policy import CONNECTOR, PROGRAM, Decision, Layer, Policy
from codex_core.stage import Attestation
from codex_core.status import TargetConfig
from codex_core.storage import Fallback, StoreConfig

if TYPE_CHECKING:
    from codex_cli.pipeline.model import Pipeline, StageSpec
    from codex_cli.pipeline.state import StateFolder


@dataclass(frozen=True)
class Job:
    """One stage to run, as its own process needs it; ``inputs`` and ``outputs`` are relative to ``folder``."""

    stage: str
    uses: str
    root: Path
    folder: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[str, object]
    seed: int
    stores: Mapping[str, StoreConfig]
    targets: Mapping[str, TargetConfig]
    policy: Policy
    runs: Path
    attestation: Attestation
    history: Mapping[str, Attestation]
    now: datetime
    forced: bool


def actor_of(uses: str | None) -> str:
    """Who asks the policy in a stage that uses this: a connector's code checks verb and path before it connects."""
    return CONNECTOR if uses in _CONNECTORS else PROGRAM


_CONNECTORS = ("connectors.pull", "connectors.push")


def uses_of(descriptor: int) -> str:
    """What the job in a memory file uses."""
    return str(_read(descriptor)["uses"])


def private_copy(descriptor: int) -> int:
    """A memory file with the same bytes, which nobody else has a descriptor of."""
    copy = os.memfd_create("job")
    os.write(copy, os.pread(descriptor, os.fstat(descriptor).st_size, 0))
    return copy


@dataclass
class Result:
    """What a ``uses`` stage left: what it read from stores, and how it failed, if it did.

    ``finished`` stays False when the process ended before it could say.
    """

    finished: bool = False
    sources: dict[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    exit: int = 0
    refusal: Decision | None = None
    fallbacks: tuple[Fallback, ...] = ()


def make_job(
    pipeline: Pipeline,
    stage: StageSpec,
    *,
    folder: Path,
    state: StateFolder,
    attestation: Attestation,
    history: Mapping[str, Attestation],
    now: datetime,
    forced: bool,
) -> Job:
    """The job of ``stage``, which must be a ``uses`` stage."""
    return Job(
        stage=stage.name,
        uses=stage.uses or "",
        root=pipeline.root,
        folder=folder,
        inputs=stage.inputs,
        outputs=stage.outputs,
        params=stage.params,
        seed=pipeline.seed,
        stores=pipeline.stores,
        targets=pipeline.targets,
        policy=pipeline.policy,
        runs=state.runs(stage.name),
        attestation=attestation,
        history=history,
        now=now,
        forced=forced,
    )


def write_job(descriptor: int, job: Job) -> None:
    """Write ``job`` into a memory file."""
    stores = {name: asdict(store) for name, store in job.stores.items()}
    targets = {name: asdict(target) for name, target in job.targets.items()}
    history = {name: one.to_json() for name, one in job.history.items()}
    said = {"policy": _layers(job), "attestation": job.attestation.to_json(), "history": history}
    _write(descriptor, {**vars(job), "stores": stores, "targets": targets, **said})


def read_job(descriptor: int) -> Job:
    """The job in a memory file."""
    data = _read(descriptor)
    policy = Policy(tuple(Layer.from_json(layer, origin=layer["origin"]) for layer in data["policy"]))
    tables = {
        "stores": {name: StoreConfig(**_with_tuples(store)) for name, store in data["stores"].items()},
        "targets": {name: TargetConfig(**_with_tuples(target)) for name, target in data["targets"].items()},
        "attestation": from_members(Attestation, data["attestation"]),
        "history": {name: from_members(Attestation, one) for name, one in data["history"].items()},
        "policy": policy,
    }
    paths = {name: Path(data[name]) for name in ("root", "folder", "runs")}
    lists = {name: tuple(data[name]) for name in ("inputs", "outputs")}
    now = datetime.fromisoformat(data["now"])
    return Job(**{**data, **tables, **paths, **lists, "now": now})


def write_result(descriptor: int, result: Result) -> None:
    """Write ``result`` into a memory file."""
    _write(
        descriptor,
        {
            **vars(result),
            "problems": [problem.to_json() for problem in result.problems],
            "refusal": result.refusal and result.refusal.to_json(),
            "fallbacks": [fallback.to_json() for fallback in result.fallbacks],
        },
    )


def read_result(descriptor: int) -> Result:
    """The result in a memory file; an unfinished one if the process ended before it wrote any."""
    data = _read(descriptor)
    if not data:
        return Result()
    return Result(
        finished=data["finished"],
        sources=data["sources"],
        problems=tuple(Problem(**problem) for problem in data["problems"]),
        exit=data["exit"],
        refusal=data["refusal"] and Decision.from_json(data["refusal"]),
        fallbacks=tuple(Fallback(**fallback) for fallback in data["fallbacks"]),
    )


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:  # Any: what asdict made of a table
    return {**table, "fallbacks": tuple(table["fallbacks"])}


def _layers(job: Job) -> Sequence[Mapping[str, object]]:
    return [{**layer.to_json(), "origin": layer.origin} for layer in job.policy.layers]


def _write(descriptor: int, data: Mapping[str, object]) -> None:
    text = json.dumps(data, default=str).encode()
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, text, 0)


def _read(descriptor: int) -> Any:  # Any: what the other end wrote with _write
    size = os.fstat(descriptor).st_size
    return json.loads(os.pread(descriptor, size, 0)) if size else {}
