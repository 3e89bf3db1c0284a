"""Status blocks in bytes: status.json, in which every byte is covered by one digest or the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codex_core.digest import canonical_json, digest_json
from codex_core.errors import CodexError, VerificationError
from codex_core.members import from_members
from codex_core.policy import Decision
from codex_core.status import Condition, Spec, StatusBlock, Step, TargetFallback
from codex_deploy.layout import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def observed_block(block: StatusBlock, observed: Mapping[str, object]) -> StatusBlock:
    """``block`` with what was observed, and the digest of that, which is outside of the block's own."""
    return replace(block, observed={**observed, "digest": digest_json(observed)})


def block_bytes(block: StatusBlock) -> bytes:
    """The bytes of status.json."""
    return canonical_json(block.to_json()) + b"\n"


def read_block(content: bytes) -> StatusBlock:
    """The block that ``content`` is; VerificationError unless it is one, in its one form, with digests that hold."""
    data = read_json(content)
    try:
        block = StatusBlock(
            from_members(Spec, data["spec"]),
            tuple(from_members(Step, step) for step in data["plan"]),
            tuple(_condition(**condition) for condition in data["conditions"]),
            tuple(from_members(Decision, decision) for decision in data["decisions"]),
            tuple(from_members(TargetFallback, fallback) for fallback in data["fallbacks"]),
            dict(data["observed"]),
        )
        seen = {name: value for name, value in block.observed.items() if name != "digest"}
        expected = block_bytes(observed_block(block, seen))
    except (KeyError, TypeError, ValueError, CodexError) as error:
        raise VerificationError(f"it is no status block: {error}") from error
    if content != expected:
        raise VerificationError("its digests are not those of what it says", hint="it was edited")
    return block


def _condition(*, observedGeneration: int, **members: str) -> Condition:  # noqa: N803 - Kubernetes' spelling
    return from_members(Condition, {**members, "observed_generation": observedGeneration})
