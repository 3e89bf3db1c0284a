"""Generators: set from one seed, and put back to the very draw."""

from __future__ import annotations

import random

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from codex_train.seeding import generator_states, restore_generators, seed_generators
from codex_train.states import join, part


def drawn() -> tuple[float, ...]:
    numbers = random.random(), random.gauss(0, 1), float(np.random.random()), float(np.random.standard_normal())
    return *numbers, torch.rand(()).item(), torch.randn(()).item()


@given(st.integers(0, 2**53), st.integers(0, 5))
def test_states_put_back_through_a_checkpoint_give_the_same_draws(seed: int, ahead: int) -> None:
    seed_generators(seed)
    for _ in range(ahead):
        drawn()
    told = part(generator_states(), "random")
    wanted = [drawn() for _ in range(3)]
    seed_generators(0)
    restore_generators(join(*told))
    assert [drawn() for _ in range(3)] == wanted


@given(st.integers(0, 2**53), st.integers(0, 2**53))
def test_each_seed_gives_its_own_draws(one: int, other: int) -> None:
    seed_generators(one)
    first = drawn()
    seed_generators(other)
    assert (drawn() == first) == (one == other)
