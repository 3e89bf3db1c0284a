"""Whether a checkpoint fits what a run tracks; what does not is named before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from codex_core.errors import ConfigError
from codex_train.states import tensor_shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_train.checkpoint import Checkpoint

OWN = "run"
"""The name under which a checkpoint holds the states of the generators, and gradients, beside what is tracked."""

_HINT = "make the model that the run was begun with, or begin another run in a new folder"


def check_fit(tracked: Mapping[str, Any], checkpoint: Checkpoint) -> None:  # Any: has a state_dict
    """ConfigError, naming the first tensor, if ``checkpoint`` is of another model than what is tracked."""
    names = set(checkpoint.states) - {OWN}
    if names != set(tracked):
        raise ConfigError(
            f"the run tracks {_listed(tracked)}, and its checkpoint of step {checkpoint.step} has {_listed(names)}",
            hint="track the same names, or begin another run in a new folder",
        )
    for name, item in tracked.items():
        if isinstance(item, torch.nn.Module):
            check_tensors(name, item.state_dict(), checkpoint.states[name], f"the checkpoint of step {checkpoint.step}")


def check_tensors(name: str, wanted: object, found: object, where: str) -> None:
    """ConfigError, naming the first tensor that is not the same in ``wanted`` and in ``found``, from ``where``."""
    here, there = dict(tensor_shapes(wanted)), dict(tensor_shapes(found))
    for path in (*here, *(path for path in there if path not in here)):
        if here.get(path) != there.get(path):
            told = f"{name}.{path} is {here.get(path, 'absent')}, and in {where} it is {there.get(path, 'absent')}"
            raise ConfigError(f"another model: {told}", hint=_HINT)


def load_tracked(tracked: Mapping[str, Any], checkpoint: Checkpoint) -> None:  # Any: has a load_state_dict
    """Load every tracked object's state; ConfigError, naming the object, if it refuses."""
    for name, item in tracked.items():
        try:
            item.load_state_dict(checkpoint.states[name])
        except (ValueError, RuntimeError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{name} does not take its state after step {checkpoint.step}: {error}", hint=_HINT
            ) from error


def _listed(names: Any) -> str:  # Any: a mapping or a set of names
    return " and ".join(sorted(names)) or "nothing"
