"""How examples become batches, and how many there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codex_core.errors import ConfigError
from codex_train.batches import count_examples, fetcher

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
