"""Targets: where a bundle goes; one module for each kind, found by the entry points of ``codex.targets``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_core.errors import UsageError
from codex_core.registry import Registry
from codex_core.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_core.status import Target, TargetConfig, TargetContext


def open_target(name: str, context: TargetContext) -> Target:
    """The target of this name; UsageError if there is none, PluginUnknown if nothing installed is of its kind."""
    config = find_target(name, context.targets)
    return Registry("codex.targets").load(config.kind)(config, context)


def find_target(name: str, targets: Mapping[str, TargetConfig]) -> TargetConfig:
    """The table of the target of this name; UsageError, with the nearest name, if there is none."""
    if name in targets:
        return targets[name]
    known = (
        f"known targets: {', '.join(targets)}" if targets else f"add [targets.{name}] with kind and url to codex.toml"
    )
    raise UsageError(f"there is no target {name!r}", hint=did_you_mean(name, targets) or known)
