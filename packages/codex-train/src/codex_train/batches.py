"""Batches: how many examples there are in a user's data, and how a batch of them is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch

from codex_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Fetch = Callable[[NDArray[np.int64]], Any]  # Any: a batch is whatever the user's data gives


def fetcher(data: Any) -> Fetch:  # Any: the user's data, of any type with __len__ and __getitem__
    """The function from examples to their batch.

    A tensor or an array is indexed along its first axis, and of a tuple of these each is. Data with ``__getitems__``
    (PyTorch's own protocol for datasets) is handed the list of examples; of any other, the batch is the list of them.
    """
    if isinstance(data, torch.Tensor):
        return lambda order: data.index_select(0, torch.from_numpy(order))
    if isinstance(data, np.ndarray):
        return lambda order: data[order]
    if _is_columns(data):
        columns = [fetcher(column) for column in data]
        return lambda order: tuple(column(order) for column in columns)
    if hasattr(data, "__getitems__"):
        return lambda order: data.__getitems__(order.tolist())
    return lambda order: [data[index] for index in order.tolist()]


def count_examples(data: Any) -> int:  # Any: as above
    """How many examples ``data`` has; ConfigError if it cannot be told."""
    if not _is_columns(data):
        return len(data)
    counts = {len(column) for column in data}
    if len(counts) > 1:
        told = " and ".join(map(str, sorted(counts)))
        raise ConfigError(f"the columns of the data have {told} examples", hint="give columns of one length")
    return counts.pop()


def _is_columns(data: object) -> TypeGuard[tuple[Any, ...]]:  # Any: tensors and arrays, which share no type
    return isinstance(data, tuple) and bool(data) and all(isinstance(one, torch.Tensor | np.ndarray) for one in data)
