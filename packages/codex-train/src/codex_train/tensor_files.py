"""Tensor files: safetensors with the digest of every tensor, so that damage can be told by the tensor's name."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, BinaryIO

from safetensors.torch import save_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import torch

_LENGTH = 8
"""A safetensors file begins with the length of its JSON header, in eight bytes, little-endian."""
_CHUNK = 2**20


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write ``tensors``; the same tensors give the same bytes, whatever the order in which they come."""
    kept: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        dense = tensor.detach().contiguous()
        kept[name] = dense.clone() if place in seen else dense  # tied weights: the format holds each by itself
        seen.add(place)
    path.touch()
    mode = path.stat().st_mode
    save_file(kept, path, metadata={"format": "pt"})
    path.chmod(mode)  # safetensors lets the owner alone read what it writes


def tensor_digests(path: Path) -> dict[str, str]:
    """The digest of each tensor's bytes, by its name."""
    with open(path, "rb") as stream:
        return {name: _digest(stream, start, stop) for name, start, stop in _ranges(stream)}


def first_damage(path: Path, digests: Mapping[str, str]) -> str:
    """What of the file at ``path`` is not as ``digests`` say, by name; its header, if all tensors are."""
    try:
        found = tensor_digests(path)
    except (ValueError, KeyError, TypeError):
        return "its header"
    damaged = [name for name, digest in digests.items() if found.get(name) != digest]
    return f"the tensor {damaged[0]!r}" if damaged else "its header"


def _ranges(stream: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Each tensor's name, and where its bytes begin and end, as the header says."""
    length = int.from_bytes(stream.read(_LENGTH), "little")
    if length > stream.seek(0, 2) - _LENGTH:
        raise ValueError("the header is longer than the file")
    stream.seek(_LENGTH)
    header = json.loads(stream.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            yield name, _LENGTH + length + int(start), _LENGTH + length + int(stop)


def _digest(stream: BinaryIO, start: int, stop: int) -> str:
    stream.seek(start)
    sha256, left = hashlib.sha256(), stop - start
    while left > 0 and (chunk := stream.read(min(left, _CHUNK))):
        sha256.update(chunk)
        left -= len(chunk)
    return f"sha256:{sha256.hexdigest()}"
