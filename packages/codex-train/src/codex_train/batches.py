"""Batches: how many examples there are in a user's data, how a batch of them is fetched, and their digest."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch

from codex_core.digest import digest_bytes
from codex_core.errors import ConfigError
from codex_train.states import part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Fetch = Callable[[NDArray[np.int64]], Any]  # Any: a batch is whatever the user's data gives


_PIECE = 2**24
"""About how many bytes are digested at a time."""


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
    is_indexed = hasattr(data, "__len__") and (hasattr(data, "__getitem__") or hasattr(data, "__getitems__"))
    if not is_indexed or isinstance(data, dict):
        message = f"a {type(data).__name__} gives no example by its number, so a run cannot order them"
        hint = "give a tensor, an array, a tuple of these, a list, or a dataset: of a DataLoader its .dataset"
        raise ConfigError(message, hint=hint)
    if not _is_columns(data):
        return len(data)
    counts = {len(column) for column in data}
    if len(counts) > 1:
        told = " and ".join(map(str, sorted(counts)))
        raise ConfigError(f"the columns of the data have {told} examples", hint="give columns of one length")
    return counts.pop()


def digest_examples(data: Any) -> str | None:  # Any: as above
    """The digest of all that ``data`` holds; None where only code of the user's own could give its examples.

    A tensor or an array is digested by type, shape and bytes, and a tuple of these by its columns; a list, a tuple, a
    range or a text if a checkpoint could hold what is in it.
    """
    if isinstance(data, torch.Tensor | np.ndarray):
        return _digest_array(data)
    if not isinstance(data, list | tuple | range | str):
        return None
    try:
        told, tensors = part(list(data) if isinstance(data, range) else data, "data")
    except ConfigError:
        return None
    digests = [_digest_array(tensor) for tensor in tensors.values()]
    whole = json.dumps([type(data).__name__, told, digests])  # no canonical JSON: 1 and 1.0 make other tensors
    return None if None in digests else digest_bytes(whole.encode())


def _digest_array(array: torch.Tensor | np.ndarray[Any, Any]) -> str | None:  # Any: any shape and type
    kind = {"type": type(array).__name__, "dtype": str(array.dtype), "shape": list(array.shape)}
    sha256 = hashlib.sha256(json.dumps(kind).encode() + b"\n")
    if isinstance(array, torch.Tensor):
        if array.layout != torch.strided or array.is_quantized or array.device.type == "meta":
            return None
        for rows in _pieces(array.detach().resolve_conj().resolve_neg()):
            sha256.update(rows.cpu().clone(memory_format=torch.contiguous_format).flatten().view(torch.uint8).numpy())
    elif array.dtype.hasobject:
        return None
    else:
        for rows in _pieces(array):
            sha256.update(rows.tobytes())
    return f"sha256:{sha256.hexdigest()}"


def _pieces(array: Any) -> Iterator[Any]:  # Any: a tensor or an array, which share no type
    """``array`` in pieces along its first axis, since each is copied: rows of a view may share their bytes."""
    if array.ndim == 0:
        yield array.reshape(1)
        return
    row = max(1, array[0].nbytes) if len(array) else 1
    count = max(1, _PIECE // row)
    for start in range(0, len(array), count):
        yield array[start : start + count]


def _is_columns(data: object) -> TypeGuard[tuple[Any, ...]]:  # Any: tensors and arrays, which share no type
    return isinstance(data, tuple) and bool(data) and all(isinstance(one, torch.Tensor | np.ndarray) for one in data)
