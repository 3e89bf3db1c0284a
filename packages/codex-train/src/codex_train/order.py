"""Batch order: which example stands where in an epoch, a pure function of (seed, epoch, index) that needs no state.

Each epoch visits every example once. The order is a keyed permutation of the numbers below ``count``: a Feistel
network (Luby and Rackoff, 1988) over the smallest domain of 4^h >= count, with cycle walking for what falls outside
(Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). Its round function is the finalizer of SplitMix64
(Steele, Lea and Flood, 2014), its round keys are the SHA-512 of seed, epoch and count. So any stretch of an epoch is
computed by itself, without the rest of it, and no release of torch or numpy changes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_BLOCK = 4096
"""About how many examples are ordered at a time: calling numpy costs as much as ordering some hundreds."""


@dataclass(frozen=True)
class Position:
    """Where a run stands: ``step`` batches taken in all, ``offset`` examples visited of ``epoch``, from 0."""

    step: int = 0
    epoch: int = 0
    offset: int = 0


def examples(seed: int, epoch: int, count: int, start: int, stop: int) -> NDArray[np.int64]:
    """The examples at the places ``start`` to ``stop`` of an epoch over ``count`` examples."""
    keys, half = _keys(seed, epoch, count), _half(count)
    found = _permute(np.arange(start, stop, dtype=np.uint64), keys, half)
    while (outside := found >= count).any():
        found[outside] = _permute(found[outside], keys, half)
    return found.astype(np.int64)


def walk(seed: int, count: int, size: int, position: Position) -> Iterator[tuple[Position, NDArray[np.int64]]]:
    """Every batch from ``position`` on, without end: the position after it, and its examples.

    The last batch of an epoch holds what is left of it, which may be less than ``size``.
    """
    step, epoch, offset = position.step, position.epoch, position.offset
    stride = size * max(1, _BLOCK // size)
    while True:
        for block in range(offset, count, stride):
            ordered = examples(seed, epoch, count, block, min(block + stride, count))
            for start in range(0, len(ordered), size):
                batch, step = ordered[start : start + size], step + 1
                yield Position(step, epoch, block + start + len(batch)), batch
        epoch, offset = epoch + 1, 0


def _keys(seed: int, epoch: int, count: int) -> NDArray[np.uint64]:
    """Eight round keys of 64 bits."""
    text = f"codex.order/1 seed={seed} epoch={epoch} count={count}"
    return np.frombuffer(hashlib.sha512(text.encode()).digest(), dtype="<u8").astype(np.uint64)


def _half(count: int) -> int:
    """The bits of half a number; at least two, as a network over fewer reaches few of the permutations."""
    return max(2, ((count - 1).bit_length() + 1) // 2)


def _permute(numbers: NDArray[np.uint64], keys: NDArray[np.uint64], half: int) -> NDArray[np.uint64]:
    bits, mask = np.uint64(half), np.uint64(2**half - 1)
    left, right = numbers >> bits, numbers & mask
    for key in keys:
        left, right = right, left ^ (_mix(right + key) >> np.uint64(64 - half))
    return (left << bits) | right


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
