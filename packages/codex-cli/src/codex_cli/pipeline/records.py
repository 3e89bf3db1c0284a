"""Records: what a finished stage left behind, so that a later run can tell whether it is still fresh."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from codex_core.digest import canonical_json
from codex_core.members import from_members
from codex_core.policy import Decision
from codex_core.stage import Attestation

if TYPE_CHECKING:
    from pathlib import Path

    from codex_cli.pipeline.model import Pipeline, StageSpec
    from codex_cli.pipeline.state import StateFolder

SCHEMA = "codex.record/1"


@dataclass(frozen=True)
class Identity:
    """Everything that decides what a stage makes: equal identities, equal bits.

    ``work`` is its ``uses`` or ``command``; ``code`` the digest of its code, None for a command, whose code is among
    its inputs; ``inputs`` and ``sources`` (places in stores) are digests, a source None where only a network can tell;
    ``tables`` has those of the stores and targets that it goes to, as ``stores.NAME.KEY``, without local paths.
    """

    work: str
    code: str | None
    params: Mapping[str, object]
    env: Mapping[str, str]
    seed: int
    on_refusal: str
    environment: Mapping[str, str]
    inputs: Mapping[str, str]
    sources: Mapping[str, str | None]
    tables: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """The part of a record that says what the stage was."""
        return dict(vars(self))


@dataclass(frozen=True)
class Record:
    """A finished stage: what it was, what it made, what the policy answered, and what was observed meanwhile.

    ``refusal`` is the one of the decisions that ended the stage, where it was recorded as its output.
    """

    stage: str
    identity: Identity
    outputs: Mapping[str, str]
    decisions: tuple[Decision, ...] = ()
    refusal: Decision | None = None
    observed: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The record as its file holds it."""
        return {
            "schema": SCHEMA,
            "stage": self.stage,
            "identity": self.identity.to_json(),
            "outputs": self.outputs,
            "decisions": [decision.to_json() for decision in self.decisions],
            "refusal": self.refusal and self.refusal.to_json(),
            "observed": self.observed,
        }


def attestations(state: StateFolder, pipeline: Pipeline, stage: StageSpec) -> dict[str, Attestation]:
    """What was enforced around each stage that ``stage`` builds on, by their names, as their records say."""
    found: dict[str, Attestation] = {}
    pending = list(stage.needs)
    while pending:
        name = pending.pop()
        record = None if name in found else read_record(state.record(name))
        if record is not None and "attestation" in record.observed:
            found[name] = from_members(Attestation, record.observed["attestation"])
        if record is not None:
            pending += pipeline.stages[name].needs
    return dict(sorted(found.items()))


def ledger_heads(state: StateFolder) -> dict[int, tuple[str, str]]:
    """The entries of the ledger that the records name: by its number, the hash of each and the stage whose it is."""
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(state.path.glob("records/*.json")):
        record = read_record(path)
        if record is not None and "attestation" in record.observed:
            attested = from_members(Attestation, record.observed["attestation"])
            if attested.ledger_head is not None:
                found[attested.ledger_entries] = attested.ledger_head, record.stage
    return found


def record_bytes(record: Record) -> bytes:
    """The bytes of the record's file; DigestError if something in it has no canonical form."""
    return canonical_json(record.to_json()) + b"\n"


def read_record(path: Path) -> Record | None:
    """The record at ``path``; None if there is none, or none that this release can read."""
    data = read_json(path)
    if data.get("schema") != SCHEMA:
        return None
    try:
        return _record(data)
    except (KeyError, TypeError):
        return None


def read_json(path: Path) -> dict[str, Any]:  # Any: whatever the file holds; its readers check
    """The JSON object at ``path``; empty if there is no file, or no whole object in it."""
    try:
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _record(data: Mapping[str, Any]) -> Record:  # Any: checked by the names it must have
    decisions = tuple(Decision.from_json(decision) for decision in data["decisions"])
    identity = Identity(**data["identity"])
    refusal = data["refusal"] and Decision.from_json(data["refusal"])
    return Record(data["stage"], identity, data["outputs"], decisions, refusal, data["observed"])
