"""The project that a command works in: the nearest codex.toml, and of it the policy, the stores and the targets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.policy import Policy

if TYPE_CHECKING:
    from codex_core.status import TargetConfig
    from codex_core.storage import StoreConfig

PIPELINE_FILE = "codex.toml"


@dataclass(frozen=True)
class Project:
    """``file`` is the pipeline file, None where there is none; ``root`` is its folder. Both are absolute."""

    file: Path | None
    root: Path
    policy: Policy = field(default_factory=Policy)
    stores: Mapping[str, StoreConfig] = field(default_factory=dict)
    targets: Mapping[str, TargetConfig] = field(default_factory=dict)


def find_pipeline_file(start: Path) -> Path | None:
    """The codex.toml in the folder ``start``, or in the nearest folder above it that has one."""
    start = start.absolute()
    candidates = (folder / PIPELINE_FILE for folder in (start, *start.parents))
    return next((file for file in candidates if file.is_file()), None)


def read_project(file: Path) -> Project:
    """Policy, stores and targets of the pipeline file ``file``; ConfigError with all mistakes in these.

    The rest of the file is not looked at: whether a pipeline is valid does not matter to a store.
    """
    from codex_core.config import raise_problems, read_layer, read_stores, read_targets
    from codex_core.toml import read_toml

    file = file.absolute()
    source = read_toml(file, name=file.name)
    layer, problems = read_layer(source)
    stores, store_problems = read_stores(source, file.parent)
    targets, target_problems = read_targets(source)
    raise_problems([*problems, *store_problems, *target_problems])
    return Project(file, file.parent, Policy((layer,)), stores, targets)


def read_policy(files: Sequence[str | os.PathLike[str]]) -> Policy:
    """The policy whose layers are ``files``: pipeline files, called codex.toml, and policy files.

    Without any, nothing is allowed. ConfigError, with the mistakes of all of them, if there are any.
    """
    if not files:
        return Policy()
    from codex_core.config import raise_problems, read_layer, read_policy_file
    from codex_core.toml import read_toml

    layers, problems = [], []
    for file in map(Path, files):
        is_pipeline = file.name == PIPELINE_FILE
        source = read_toml(file, name=file.name if is_pipeline else None)
        layer, mistakes = (read_layer if is_pipeline else read_policy_file)(source)
        layers.append(layer)
        problems += mistakes
    raise_problems(problems)
    return Policy(tuple(layers))


def nearest_project(start: Path) -> Project:
    """The project around the folder ``start``: an empty one, whose policy allows nothing, where there is no file."""
    file = find_pipeline_file(start)
    return Project(None, start.absolute()) if file is None else read_project(file)
