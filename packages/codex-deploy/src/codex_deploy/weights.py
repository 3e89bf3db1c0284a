"""Safetensors: the header of a weights file, checked so that every byte of the file belongs to exactly one tensor.

The format: eight bytes with the header's length (little-endian), the header, JSON that begins with ``{`` and may end
with spaces, and the tensors' bytes. Source: the safetensors format description and its reference reader, whose limits
and data types (0.8) are taken over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from codex_core.errors import ContentRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH_BYTES = 8
LONGEST_HEADER = 100_000_000
_LARGEST = 2**63
_MOST_SHOWN = 8

_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
}


@dataclass(frozen=True)
class Weights:
    """What a header says: how many numbers its tensors hold, and of which data types, sorted."""

    parameters: int
    dtypes: tuple[str, ...]


def header_length(start: bytes | bytearray) -> int | None:
    """The header's length, if a file that begins with these nine bytes can only be meant as safetensors."""
    length = int.from_bytes(start[:LENGTH_BYTES], "little")
    return length if start[LENGTH_BYTES:] == b"{" and length <= LONGEST_HEADER else None


def read_header(header: bytes, data_size: int) -> Weights:
    """Check the header of a file with ``data_size`` bytes after it; ContentRefused says what is wrong."""
    tensors = [_tensor(name, entry) for name, entry in _entries(header)]
    spans = sorted((start, end) for _, _, start, end in tensors)
    edges = [(0, 0), *spans, (data_size, data_size)]
    for (_, end), (start, _) in pairwise(edges):
        if start != end:
            what = "overlap" if start < end else "leave a gap"
            raise _bad(f"the tensors' bytes {what} at {min(start, end)}, in {data_size} bytes of data")
    return Weights(sum(count for _, count, _, _ in tensors), tuple(sorted({dtype for dtype, *_ in tensors})))


def _entries(header: bytes) -> Iterator[tuple[str, Any]]:  # Any: whatever JSON says
    try:
        data = json.loads(header.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is no JSON: {error}") from error
    if not isinstance(data, dict):
        raise _bad("it is no object")
    metadata = data.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _bad("__metadata__ does not map texts to texts")
    yield from data.items()


def _tensor(name: str, entry: Any) -> tuple[str, int, int, int]:  # Any: whatever JSON says
    """Data type, number of elements, first byte, and the byte after the last."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _bad(f"tensor {name!r} does not have just dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise _bad(f"tensor {name!r} has the unknown data type {dtype!r}")
    if not _naturals(shape) or not _naturals(offsets) or len(offsets) != 2:
        raise _bad(f"tensor {name!r} has a shape or offsets that are no natural numbers")
    count, (start, end) = _count(shape), offsets
    if count is None or count * _BITS[dtype] != 8 * (end - start):
        told = str(shape) if len(shape) <= _MOST_SHOWN else f"with {len(shape)} dimensions"
        raise _bad(f"tensor {name!r} of {dtype} {told} does not fill its {end - start} bytes")
    return dtype, count, start, end


def _count(shape: list[int]) -> int | None:
    """How many numbers a tensor of this shape holds; None if that is more than any file does."""
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count >= _LARGEST:
            return None
    return count


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < _LARGEST for item in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: whatever JSON says
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _bad(reason: str) -> ContentRefused:
    return ContentRefused(
        f"has a safetensors header that does not hold: {reason}", hint="write the file again; it is damaged"
    )
