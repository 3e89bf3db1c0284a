"""Gradients: those that are held come back, and where none was there is none."""

from __future__ import annotations

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
