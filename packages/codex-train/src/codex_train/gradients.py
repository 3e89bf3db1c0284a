"""Gradients: those that parameters hold between two steps, which no ``state_dict`` has, and which resume with the rest.

A loop that adds up gradients over several batches takes its step from them. A loop that clears them at the end of its
body, ``opt.zero_grad()``, has none between two batches, and its checkpoints are smaller for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def held_gradients(tracked: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """The gradients in the modules and optimisers among ``tracked``, by their name and the parameter's."""
    return {name: weight.grad for name, weight in _parameters(tracked) if weight.grad is not None}


def restore_gradients(tracked: Mapping[str, object], kept: Mapping[str, Any]) -> None:  # Any: tensors, from a file
    """Give every parameter the gradient that was ``kept`` for it, or none."""
    for name, weight in _parameters(tracked):
        weight.grad = kept.get(name)


def _parameters(tracked: Mapping[str, object]) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Each parameter once: of modules, and of optimisers those of models that are tracked in another dress."""
    seen: set[int] = set()
    for name, item in tracked.items():
        for path, weight in _named(item):
            if id(weight) not in seen:
                seen.add(id(weight))
                yield f"{name}.{path}", weight


def _named(item: object) -> Iterator[tuple[str, torch.nn.Parameter]]:
    if isinstance(item, torch.nn.Module):
        yield from item.named_parameters()
    elif isinstance(item, torch.optim.Optimizer):
        for number, group in enumerate(item.param_groups):
            for index, weight in enumerate(group["params"]):
                yield f"{number}.{index}", weight
