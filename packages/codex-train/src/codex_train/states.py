"""States: what ``state_dict`` gives, parted into named tensors and JSON, and put together again to the same types.

In the JSON a list is itself, and every other container is an object with one member that names it: ``{"tuple": [..]}``,
``{"dict": [[key, value], ..]}`` in the dictionary's order (its keys may be numbers), ``{"tensor": NAME}``. A float that
is not finite is ``{"float": "inf"}``. A name is the path to the tensor, with dots: ``state.0.exp_avg``. A tensor that
lies in memory in another order than its dimensions', such as one of channels_last, is ``{"strided": [NAME, strides]}``:
kernels go by that order, and round by it.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from codex_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Tensors = dict[str, torch.Tensor]

_MAPPINGS: dict[type, str] = {dict: "dict", OrderedDict: "ordered", Counter: "counter"}
_NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_HINT = (
    "a checkpoint holds tensors, arrays, numbers, text, None, and lists, tuples and dictionaries of these, no pickle"
)


def part(value: object, where: str) -> tuple[object, Tensors]:
    """The JSON and the tensors of ``value``, which a person knows as ``where``.

    ConfigError, naming the path, for what neither can hold, and for a tensor that is not on the CPU.
    """
    tensors: Tensors = {}
    return _Parting(where, tensors).part(value, ()), tensors


def join(told: Any, tensors: Mapping[str, torch.Tensor]) -> Any:  # Any: JSON, and what it was made from
    """The value of which ``part`` made ``told`` and ``tensors``."""
    if isinstance(told, list):
        return [join(item, tensors) for item in told]
    if not isinstance(told, dict):
        return told
    ((kind, inner),) = told.items()
    return _JOINERS[kind](inner, tensors)


def tensor_shapes(value: object) -> Iterator[tuple[str, str]]:
    """Each tensor in ``value``: its name, and its type and shape as a person reads them, ``float32 [128, 64]``."""
    for name, tensor in part(value, "it")[1].items():
        yield name, describe_tensor(tensor)


def describe_tensor(tensor: torch.Tensor) -> str:
    """``float32 [128, 64]``."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


class _Parting:
    """One parting: ``tensors`` fills while the JSON is made."""

    def __init__(self, where: str, tensors: Tensors) -> None:
        self._where = where
        self._tensors = tensors

    def part(self, value: Any, path: tuple[str, ...]) -> object:  # Any: a state holds anything; what is no data raises
        kind = type(value)
        if value is None or kind in {bool, int, str}:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, torch.Tensor):
            name, strides = self._keep(value, path), _own_strides(value)
            return {"tensor": name} if strides is None else {"strided": [name, strides]}
        if isinstance(value, np.ndarray | np.generic):
            return {"array" if isinstance(value, np.ndarray) else "scalar": self._keep_array(value, path)}
        if kind is list:
            return self._items(value, path)
        if kind in {tuple, torch.Size}:
            return {"tuple": self._items(value, path)}
        if kind in _MAPPINGS:
            pairs = [[self.part(key, path), self.part(item, (*path, str(key)))] for key, item in value.items()]
            return {_MAPPINGS[kind]: pairs}
        raise ConfigError(f"{self._name(path)} is a {kind.__name__}, which a checkpoint cannot hold", hint=_HINT)

    def _items(self, items: Any, path: tuple[str, ...]) -> list[object]:  # Any: a list or a tuple of anything
        return [self.part(item, (*path, str(index))) for index, item in enumerate(items)]

    def _keep(self, tensor: torch.Tensor, path: tuple[str, ...]) -> str:
        if tensor.device.type != "cpu":
            message = f"{self._name(path)} is on {tensor.device}, and this release resumes exactly on the CPU only"
            raise ConfigError(message, hint="keep what is tracked on the CPU")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.dtype == torch.complex128:
            kind = f"{tensor.dtype} tensor of layout {tensor.layout}"
            hint = "of tensors it holds dense ones, neither quantized nor of complex128"
            raise ConfigError(f"{self._name(path)} is a {kind}, which a checkpoint cannot hold", hint=hint)
        name = stem = ".".join(path) or "value"
        repeat = 1
        while name in self._tensors:  # keys may hold dots: {"a.b": .., "a": {"b": ..}}
            repeat += 1
            name = f"{stem}~{repeat}"
        self._tensors[name] = tensor.detach().contiguous()
        return name

    def _keep_array(self, array: np.ndarray[Any, Any] | np.generic, path: tuple[str, ...]) -> str:  # Any: any shape
        try:
            return self._keep(torch.from_numpy(np.array(array, order="C")), path)  # a copy: it may be read-only
        except TypeError as error:
            message = f"{self._name(path)} is an array of {array.dtype}, which a checkpoint cannot hold"
            raise ConfigError(message, hint=_HINT) from error

    def _name(self, path: tuple[str, ...]) -> str:
        return ".".join((self._where, *path))


_JOINERS: dict[str, Callable[[Any, Mapping[str, torch.Tensor]], Any]] = {  # Any: as for join
    "float": lambda inner, _: _NOT_FINITE[inner],
    "tensor": lambda inner, tensors: tensors[inner],
    "strided": lambda inner, tensors: _with_strides(tensors[inner[0]], inner[1]),
    "array": lambda inner, tensors: tensors[inner].numpy(),
    "scalar": lambda inner, tensors: tensors[inner].numpy()[()],
    "tuple": lambda inner, tensors: tuple(join(item, tensors) for item in inner),
    "dict": lambda inner, tensors: dict(_pairs(inner, tensors)),
    "ordered": lambda inner, tensors: OrderedDict(_pairs(inner, tensors)),
    "counter": lambda inner, tensors: Counter(dict(_pairs(inner, tensors))),
}


def _own_strides(tensor: torch.Tensor) -> list[int] | None:
    """The strides of a tensor that fills its memory, but not in the order of its dimensions; None of any other."""
    strides, filled = tensor.stride(), 1
    if strides == torch.empty(tensor.shape, device="meta").stride():
        return None
    for stride, size in sorted(zip(strides, tensor.shape, strict=True)):
        if size > 1 and stride != filled:
            return None
        filled *= size
    return list(strides)


def _with_strides(tensor: torch.Tensor, strides: list[int]) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor)


def _pairs(inner: Any, tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[Any, Any]]:  # Any: as for join
    return ((join(key, tensors), join(item, tensors)) for key, item in inner)
