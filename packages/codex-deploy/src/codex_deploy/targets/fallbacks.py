"""Fallbacks of a target: the others that could take the bundle, in order, and whether each could; no network is asked.

A target on this machine is usable whatever stands there now, so that the answer is the same on every machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.errors import UrlError
from codex_core.fallbacks import fallback_names
from codex_core.registry import Registry
from codex_core.status import TargetFallback
from codex_deploy.targets.repository import parse_repository

if TYPE_CHECKING:
    from codex_core.status import TargetConfig, TargetContext

_LOCAL = ("dir", "oci-layout")


def enumerate_fallbacks(target: TargetConfig, context: TargetContext) -> tuple[TargetFallback, ...]:
    """The fallbacks of ``target``: its own in their order, then those of each, once."""
    kinds = Registry("codex.targets").names()
    return tuple(
        TargetFallback(order, name, *_usable(context.targets.get(name), context, kinds))
        for order, name in enumerate(fallback_names(target, context.targets), 1)
    )


def _usable(config: TargetConfig | None, context: TargetContext, kinds: tuple[str, ...]) -> tuple[bool, str]:
    if config is None:
        return False, "no target has this name"
    if config.kind not in kinds:
        return False, f"no installed package has a target of kind {config.kind}"
    if config.kind in _LOCAL:
        return True, f"{config.url} is on this machine, where no policy is asked"
    try:
        repository = parse_repository(config.url)
    except UrlError as error:
        return False, error.message
    decision = context.judge("write", repository.uploads(), scope=repository.scope)
    return False, "this release has no registry client" if decision.allowed else decision.reason
