"""The project that a command works in: the nearest codex.toml, and of it the policy, the stores and the targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError
from codex_core.policy import Policy
from codex_core.policy_files import policy_files

if TYPE_CHECKING:
    from codex_core.errors import Problem
    from codex_core.policy import Layer
    from codex_core.status import TargetConfig
    from codex_core.storage import StoreConfig

PIPELINE_FILE = "codex.toml"


@dataclass(frozen=True)
class Project:
    """``file`` is the pipeline file, None where there is none; ``root`` is its folder. Both are absolute.

    ``stages`` are the names in it, whether each is that of a stage without a mistake or not.
    """

    file: Path | None
    root: Path
    policy: Policy = field(default_factory=Policy)
    stores: Mapping[str, StoreConfig] = field(default_factory=dict)
    targets: Mapping[str, TargetConfig] = field(default_factory=dict)
    stages: tuple[str, ...] = ()


def find_pipeline_file(start: Path) -> Path | None:
    """The codex.toml in the folder ``start``, or in the nearest folder above it that has one."""
    start = start.absolute()
    candidates = (folder / PIPELINE_FILE for folder in (start, *start.parents))
    return next((file for file in candidates if file.is_file()), None)


def read_project(file: Path, environ: Mapping[str, str], *, policy_file: str = "") -> Project:
    """Policy, stores and targets around the pipeline file ``file``; ConfigError with all mistakes in these.

    ``environ`` may name a policy file, ``policy_file`` is one more. The rest of the pipeline file is not looked at:
    whether a pipeline is valid does not matter to a store.
    """
    from codex_core.config import raise_problems, read_stores, read_targets, stage_names
    from codex_core.toml import read_toml

    file = file.absolute()
    source = read_toml(file, name=file.name)
    layers, problems = _read_layers(policy_files(environ, project=str(file), given=policy_file))
    stores, store_problems = read_stores(source, file.parent)
    targets, target_problems = read_targets(source)
    raise_problems([*problems, *store_problems, *target_problems])
    return Project(file, file.parent, Policy(layers), stores, targets, stage_names(source))


def nearest_project(start: Path, environ: Mapping[str, str], *, policy_file: str = "") -> Project:
    """The project around the folder ``start``; where there is no file, one with neither stores nor targets."""
    file = find_pipeline_file(start)
    if file is not None:
        return read_project(file, environ, policy_file=policy_file)
    return Project(None, start.absolute(), read_policy(policy_files(environ, given=policy_file)))


def policy_around(file: Path, environ: Mapping[str, str], *, policy_file: str = "") -> Policy:
    """The policy that judges in the project of ``file``; ConfigError for a mistake in a file beside it.

    The rules of a pipeline file with mistakes allow nothing: whoever reads all of it tells these with the others.
    """
    try:
        return read_policy(policy_files(environ, project=str(file), given=policy_file))
    except ConfigError:
        read_policy(policy_files(environ, given=policy_file))
        return Policy()


def read_policy(files: Sequence[str]) -> Policy:
    """The policy whose layers are ``files``: pipeline files, called codex.toml, and policy files.

    Without any, nothing is allowed. ConfigError, with the mistakes of all of them, if there are any.
    """
    if not files:
        return Policy()
    from codex_core.config import raise_problems

    layers, problems = _read_layers(files)
    raise_problems(problems)
    return Policy(layers)


def _read_layers(files: Sequence[str]) -> tuple[tuple[Layer, ...], list[Problem]]:
    from codex_core.config import read_layer, read_policy_file
    from codex_core.toml import read_toml

    layers, problems = [], []
    for file in map(Path, files):
        is_pipeline = file.name == PIPELINE_FILE
        source = read_toml(file, name=file.name if is_pipeline else None)
        layer, mistakes = (read_layer if is_pipeline else read_policy_file)(source)
        layers.append(layer)
        problems += mistakes
    return tuple(layers), problems
