"""The attestation: what happened when the model was made and packed, in a manifest whose subject is the model's.

It differs from run to run, so no byte of it is in the bundle's digest. Its layers: the statement, the checkpoint
manifest of the model folder, and the reports among the further files, an audit and an evaluation, known by their
schemas: what was measured depends on the machine and on what it was compared with, and is no part of the model. The
statement also says the bundle's name, so that the name in index.json has something to be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_core.digest import canonical_json
from codex_core.errors import CodexError, VerificationError
from codex_core.members import from_members
from codex_core.stage import Attestation
from codex_deploy.layout import EMPTY, TITLE, Descriptor, Manifest, check_name, read_json, read_texts

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA = "codex.attestation/1"
ARTIFACT_TYPE = "application/vnd.codex.attestation.v1+json"
STATEMENT_TYPE = "application/vnd.codex.statement.v1+json"
CHECKPOINT_TYPE = "application/vnd.codex.checkpoint.v1+json"
STATEMENT = "statement.json"


@dataclass(frozen=True)
class ReportKind:
    """A kind of report that an attestation may hold, one of each: the layer's title and media type, by the schema."""

    schema: str
    title: str
    media_type: str


REPORT_KINDS = (
    ReportKind("codex.audit/1", "audit.json", "application/vnd.codex.audit.v1+json"),
    ReportKind("codex.evaluation/1", "evaluation.json", "application/vnd.codex.evaluation.v1+json"),
)


@dataclass(frozen=True)
class Statement:
    """The bundle's name, what was enforced while it was packed (None: nothing), and by which versions it was packed.

    ``stages`` has what was enforced around each stage of the pipeline that it was made by, by their names.
    """

    name: str
    enforced: Attestation | None
    environment: Mapping[str, str]
    stages: Mapping[str, Attestation] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The object that statement.json holds, and that ``bundle inspect`` shows."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "enforced": self.enforced and self.enforced.to_json(),
            "environment": dict(self.environment),
            "stages": {name: one.to_json() for name, one in self.stages.items()},
        }

    def to_bytes(self) -> bytes:
        """The blob that this statement is."""
        return canonical_json(self.to_json())


def read_statement(content: bytes) -> Statement:
    """The statement that ``content`` is; VerificationError unless it is one in its one form."""
    data = read_json(content)
    try:
        enforced, environment = data["enforced"], read_texts(data["environment"])
        known = None if enforced is None else from_members(Attestation, enforced)
        stages = {name: from_members(Attestation, one) for name, one in data["stages"].items()}
        statement = Statement(check_name(data["name"]), known, environment, stages)
        expected = statement.to_bytes()
    except (KeyError, TypeError, AttributeError, ValueError, CodexError) as error:
        raise VerificationError(f"it is no statement of an attestation: {error}") from error
    if content != expected:
        raise VerificationError("it is no statement in canonical form", hint="it was edited")
    return statement


def attestation_layer(media_type: str, title: str, digest: str, size: int) -> Descriptor:
    """The layer that holds the document ``title``."""
    return Descriptor(media_type, digest, size, annotations={TITLE: title})


def attestation_manifest(subject: Descriptor, layers: Iterable[Descriptor]) -> Manifest:
    """The attestation's manifest about ``subject``, the model's; layers stand in the order of their titles' bytes."""
    ordered = sorted(layers, key=lambda layer: layer.annotations[TITLE].encode())
    return Manifest(ARTIFACT_TYPE, EMPTY, tuple(ordered), subject=subject)
