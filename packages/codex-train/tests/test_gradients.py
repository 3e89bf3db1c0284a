"""Gradients: those that are held come back, and where none was there is none."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from codex_train.gradients import held_gradients, restore_gradients


def test_held_gradients_come_back_and_others_go() -> None:
    one, other = nn.Linear(2, 1), nn.Linear(2, 1)
    one.weight.grad = torch.tensor([[1.0, 2.0]])
    other.weight.grad = torch.ones(1, 2)
    other.bias.grad = torch.ones(1)
    kept = held_gradients({"model": one, "opt": object()})
    assert {name: grad.tolist() for name, grad in kept.items()} == {"model.weight": [[1.0, 2.0]]}
    restore_gradients({"model": other, "opt": object()}, kept)
    assert torch.equal(other.weight.grad, torch.tensor([[1.0, 2.0]]))
    assert other.bias.grad is None


def test_gradients_of_a_model_in_another_dress_are_those_of_its_optimiser() -> None:
    def made() -> tuple[nn.Linear, dict[str, object]]:
        model = nn.Linear(2, 1)
        groups: list[dict[str, Any]] = [{"params": [model.weight]}, {"params": [model.bias]}]  # Any: torch's own type
        opt = torch.optim.SGD(groups, lr=0.1)
        return model, {"whole": object(), "opt": opt}

    (one, tracked), (other, again) = made(), made()
    one.bias.grad = torch.tensor([3.0])
    kept = held_gradients(tracked)
    assert {name: grad.tolist() for name, grad in kept.items()} == {"opt.1.0": [3.0]}
    restore_gradients(again, kept)
    assert other.bias.grad is not None
    assert other.bias.grad.tolist() == [3.0]
    assert other.weight.grad is None
    assert list(held_gradients({"model": one, **tracked})) == ["model.bias"]  # each once
