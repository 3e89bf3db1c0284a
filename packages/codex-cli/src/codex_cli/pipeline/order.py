"""The order of stages, which follows from their inputs and outputs."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from codex_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def overlap(one: str, other: str) -> bool:
    """Whether two relative paths are the same, or one lies below the other."""
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def dependencies(
    inputs: Mapping[str, Sequence[str]], outputs: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """For each stage the others whose outputs it reads, in the order of the mapping."""
    return {
        stage: tuple(
            other
            for other in outputs
            if other != stage and any(overlap(read, made) for read in inputs[stage] for made in outputs[other])
        )
        for stage in inputs
    }


def sort_stages(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The stages so that each comes after those it needs, otherwise in the order of the mapping."""
    cycle = find_cycle(needs)
    if cycle:
        raise ConfigError(f"the stages need one another in a circle: {' -> '.join(cycle)}")
    placed: dict[str, None] = {}
    while len(placed) < len(needs):
        placed.setdefault(next(s for s in needs if s not in placed and all(n in placed for n in needs[s])))
    return tuple(placed)


def find_cycle(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """A circle of stages, its first one again at the end; empty if there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))
    return ()
