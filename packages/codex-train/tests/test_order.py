"""The order of examples: pinned, complete, and another one in each epoch."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_train.order import Position, examples, walk

# The first ten places of (seed, epoch, count). A release that changes them changes what every run trains on.
PINNED = {
    (0, 0, 10): [8, 0, 2, 9, 5, 7, 1, 6, 3, 4],
    (0, 1, 10): [2, 8, 6, 3, 5, 0, 7, 4, 1, 9],
    (7, 0, 10): [2, 6, 1, 8, 7, 3, 0, 5, 9, 4],
    (7, 3, 1000): [573, 678, 911, 85, 865, 556, 883, 393, 635, 37],
    (2**53, 0, 10**9): [
        183820249,
        245675156,
        953130320,
        953329263,
        92914585,
        536475579,
        318017638,
        441498080,
        966202746,
        212681579,
    ],
}


def reference(seed: int, epoch: int, count: int) -> list[int]:
    """The same permutation, a number at a time, without numpy."""
    import hashlib

    digest: bytes = hashlib.sha512(f"codex.order/1 seed={seed} epoch={epoch} count={count}".encode()).digest()
    keys: list[int] = [int.from_bytes(digest[at : at + 8], "little") for at in range(0, 64, 8)]
    half = max(2, ((count - 1).bit_length() + 1) // 2)

    def mix(word: int) -> int:
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & ((1 << 64) - 1)
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & ((1 << 64) - 1)
        return word ^ (word >> 31)

    def permute(number: int) -> int:
        left, right = number >> half, number & ((1 << half) - 1)
        for key in keys:
            left, right = right, left ^ (mix((right + key) & ((1 << 64) - 1)) >> (64 - half))
        return left << half | right

    found = []
    for number in range(count):
        number = permute(number)
        while number >= count:
            number = permute(number)
        found.append(number)
    return found


@pytest.mark.parametrize(("key", "order"), PINNED.items(), ids=str)
def test_the_order_is_pinned(key: tuple[int, int, int], order: list[int]) -> None:
    seed, epoch, count = key
    assert examples(seed, epoch, count, 0, len(order)).tolist() == order


@given(st.integers(0, 2**53), st.integers(0, 10**6), st.integers(1, 300))
def test_the_order_is_the_construction_of_the_docstring(seed: int, epoch: int, count: int) -> None:
    assert examples(seed, epoch, count, 0, count).tolist() == reference(seed, epoch, count)


@given(st.integers(0, 2**53), st.integers(0, 10**6), st.integers(1, 5000))
def test_an_epoch_visits_each_example_once(seed: int, epoch: int, count: int) -> None:
    assert sorted(examples(seed, epoch, count, 0, count).tolist()) == list(range(count))


@given(st.integers(1, 2**62), st.data())
def test_any_stretch_is_computed_by_itself(count: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, count - 1))
    stop = min(count, start + 20)
    whole = examples(3, 1, count, start, stop).tolist()
    assert [examples(3, 1, count, at, at + 1).item() for at in range(start, stop)] == whole
    assert len(set(whole)) == len(whole)
    assert all(0 <= one < count for one in whole)


def test_seed_epoch_and_count_each_change_the_order() -> None:
    orders = [
        tuple(examples(seed, epoch, count, 0, 100).tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
        for count in (100, 101)
    ]
    assert len(set(orders)) == 8


@pytest.mark.parametrize("count", [3, 4, 5])
def test_every_order_of_a_few_examples_comes_up_about_as_often(count: int) -> None:
    seen = Counter(tuple(examples(7, epoch, count, 0, count).tolist()) for epoch in range(3000))
    orders = [1, 1, 2, 6, 24, 120][count]
    wanted = 3000 / orders
    chi_square = sum((seen[order] - wanted) ** 2 / wanted for order in seen) + (orders - len(seen)) * wanted
    assert len(seen) == orders
    assert chi_square < orders - 1 + 5 * (2 * (orders - 1)) ** 0.5  # five standard deviations


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 60))
def test_going_on_from_a_position_gives_what_would_have_come(count: int, size: int, taken: int) -> None:
    size = min(size, count)
    whole = [(after, order.tolist()) for after, order in islice(walk(9, count, size, Position()), taken + 5)]
    position = whole[taken - 1][0] if taken else Position()
    rest = [(after, order.tolist()) for after, order in islice(walk(9, count, size, position), 5)]
    assert rest == whole[taken:]
    assert [after.step for after, _ in whole] == list(range(1, taken + 6))


def test_the_last_batch_of_an_epoch_holds_what_is_left() -> None:
    found = [(after.epoch, after.offset, len(order)) for after, order in islice(walk(0, 10, 4, Position()), 4)]
    assert found == [(0, 4, 4), (0, 8, 4), (0, 10, 2), (1, 4, 4)]


def test_batches_larger_than_a_block_are_whole() -> None:
    (_, first), (_, second) = islice(walk(0, 12000, 9000, Position()), 2)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(12000))
    assert (len(first), len(second)) == (9000, 3000)
