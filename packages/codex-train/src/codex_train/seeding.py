"""Seeding: the generators of ``random``, numpy and torch, set from one seed, and their states kept and put back."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def seed_generators(seed: int) -> None:
    """Set the three global generators from ``seed``, which is not negative."""
    random.seed(seed)
    np.random.seed([seed >> shift & 0xFFFFFFFF for shift in (0, 32)])
    torch.manual_seed(seed)


def generator_states() -> dict[str, object]:
    """The state of each generator, in types that a checkpoint holds."""
    version, words, gauss = random.getstate()
    return {
        "python": (version, np.array(words, dtype=np.uint32), gauss),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
    }


def restore_generators(states: Any) -> None:  # Any: what generator_states returned, read from a checkpoint
    """Put the generators back into ``states``."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])
