"""The outcome of a deployment: what its block means for an exit code, and for whoever has to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.errors import DeploymentFailed, PolicyRefused, VerificationError
from codex_core.storage import Fallback

if TYPE_CHECKING:
    from codex_core.errors import CodexError
    from codex_core.status import StatusBlock

_USE = "deploy to its fallback {!r}"


def failure_of(block: StatusBlock) -> CodexError | None:
    """The error that says why the target is not ready, a refusal with its fallbacks or another; None if it is."""
    refused = next((decision for decision in block.decisions if not decision.allowed), None)
    if refused is not None:
        fallbacks = tuple(Fallback(one.target, one.usable, one.reason) for one in block.fallbacks)
        return PolicyRefused(refused, fallbacks=fallbacks, use=_USE)
    unready = next((one for one in block.conditions if one.type == "Ready" and one.status != "True"), None)
    if unready is None:
        return None
    verified = next((one for one in block.conditions if one.type == "Verified" and one.status == "False"), None)
    if verified is not None:
        hint = "apply the bundle again to replace it"
        return VerificationError(f"target {block.spec.target!r} is damaged: {verified.message}", hint=hint)
    hints = {
        "NoClient": "deploy to a dir target, and carry the folder there",
        "NotDeployed": "use `codex deploy apply`",
    }
    return DeploymentFailed(f"target {block.spec.target!r}: {unready.message}", hint=hints.get(unready.reason))
