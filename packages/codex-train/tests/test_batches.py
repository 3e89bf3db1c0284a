"""How examples become batches, and how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codex_core.errors import ConfigError
from codex_train import batches
from codex_train.batches import count_examples, digest_examples, fetcher

ORDER = np.array([2, 0], dtype=np.int64)


class Fetched:
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> str:
        return f"example {index}"

    def __getitems__(self, indexes: list[int]) -> str:
        return f"examples {indexes}"


def test_a_tensor_is_indexed_along_its_first_axis() -> None:
    assert fetcher(torch.tensor([[1, 2], [3, 4], [5, 6]]))(ORDER).tolist() == [[5, 6], [1, 2]]


def test_a_view_whose_rows_overlap_is_indexed_like_any_tensor() -> None:
    assert fetcher(torch.arange(7).unfold(0, 3, 2))(ORDER).tolist() == [[4, 5, 6], [0, 1, 2]]


def test_an_array_is_indexed_along_its_first_axis() -> None:
    assert fetcher(np.array([10, 20, 30]))(ORDER).tolist() == [30, 10]


def test_of_a_tuple_of_tensors_and_arrays_each_is_indexed() -> None:
    x, y = fetcher((torch.tensor([1, 2, 3]), np.array([4, 5, 6])))(ORDER)
    assert (x.tolist(), y.tolist()) == ([3, 1], [6, 4])


def test_data_with_getitems_is_asked_once_for_a_batch() -> None:
    assert fetcher(Fetched())(ORDER) == "examples [2, 0]"


@pytest.mark.parametrize("data", [["a", "b", "c"], ("a", "b", "c"), "abc"], ids=["list", "tuple", "text"])
def test_of_any_other_sequence_the_batch_is_a_list(data: Any) -> None:  # Any: sequences of each kind
    assert fetcher(data)(ORDER) == ["c", "a"]


@pytest.mark.parametrize(
    ("data", "count"), [(torch.zeros(4, 2), 4), ([], 0), ((torch.zeros(5), np.zeros(5)), 5), (Fetched(), 3)]
)
def test_examples_are_counted(data: Any, count: int) -> None:  # Any: as above
    assert count_examples(data) == count


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ConfigError, match="the columns of the data have 2 and 3 examples"):
        count_examples((torch.zeros(3), torch.zeros(2)))


SAME = [
    (torch.arange(6.0).view(3, 2), torch.arange(6.0).view(2, 3).view(3, 2)),
    (torch.arange(7).unfold(0, 3, 2), torch.tensor([[0, 1, 2], [2, 3, 4], [4, 5, 6]])),
    (torch.arange(6).view(2, 3).t(), torch.tensor([[0, 3], [1, 4], [2, 5]])),
    (torch.tensor([0.5], dtype=torch.bfloat16), torch.tensor([0.5]).bfloat16()),
    (np.array([1, 2, 3]), np.array([1, 9, 2, 9, 3, 9])[::2]),
    (np.array(["2026-01-01"], dtype="M8[D]"), np.array(["2026-01-01"], dtype="M8[D]")),
    ((torch.ones(2), np.zeros(2)), (torch.ones(2), np.zeros(2))),
    ([("a", 1, torch.ones(2)), ("b", float("inf"), None)], [("a", 1, torch.ones(2)), ("b", float("inf"), None)]),
    (range(3), range(3)),
    ([2**60], [2**60]),
    (torch.tensor([1 + 2j]).conj(), torch.tensor([1 - 2j])),
    (torch.tensor([1 + 2j]).conj().imag, torch.tensor([-2.0])),
    (torch.tensor(3), torch.tensor(3)),
    (torch.zeros(0, 3), torch.zeros(0, 3)),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_examples_have_the_same_digest_however_they_lie_in_memory(
    one: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = digest_examples(one)
    assert found is not None
    assert found == digest_examples(other)
    monkeypatch.setattr(batches, "_PIECE", 1)
    assert found == digest_examples(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(2), torch.tensor([0.0, -0.0])),
        (np.zeros(2), np.array([0.0, 1.0])),
        ((torch.ones(2), torch.zeros(2)), (torch.zeros(2), torch.ones(2))),
        (["a", "b"], ["b", "a"]),
        ([1, 2], [1.0, 2.0]),
        ([0.0], [-0.0]),
        (["a"], ("a",)),
        (torch.ones(2), np.ones(2, dtype=np.float32)),
        ([torch.ones(2)], [torch.zeros(2)]),
    ],
)
def test_other_examples_have_another_digest(one: Any, other: Any) -> None:
    assert None not in {digest_examples(one), digest_examples(other)}
    assert digest_examples(one) != digest_examples(other)


@pytest.mark.parametrize(
    "data",
    [
        Fetched(),
        [object()],
        torch.zeros(3, device="meta"),
        np.array([object()]),
        [np.array([object()])],
        torch.zeros(3).to_sparse(),
        {0: "a"},
    ],
)
def test_examples_that_only_their_own_code_can_give_have_none(data: Any) -> None:
    assert digest_examples(data) is None
