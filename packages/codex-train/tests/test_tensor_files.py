"""Tensor files: the same tensors give the same bytes, and damage is told by the tensor's name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch

from codex_train.tensor_files import first_damage, tensor_digests, write_tensors

TENSORS = {"a": torch.arange(4.0), "b": torch.ones(3, dtype=torch.bfloat16), "c": torch.zeros(2, dtype=torch.uint8)}


def test_bytes_depend_neither_on_the_order_nor_on_the_layout_in_memory(tmp_path: Path) -> None:
    square = torch.arange(6.0).view(2, 3)
    write_tensors(tmp_path / "one", {**TENSORS, "d": square})
    write_tensors(tmp_path / "other", {"d": square.T.contiguous().T.contiguous(), **dict(reversed(TENSORS.items()))})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_tensors(tmp_path / "one", TENSORS)
    finally:
        os.umask(before)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o640


def test_the_digests_are_those_of_the_tensors_bytes(tmp_path: Path) -> None:
    write_tensors(tmp_path / "one", TENSORS)
    bytes_of = {name: tensor.view(torch.uint8).numpy().tobytes() for name, tensor in TENSORS.items()}
    wanted = {name: f"sha256:{hashlib.sha256(data).hexdigest()}" for name, data in bytes_of.items()}
    assert tensor_digests(tmp_path / "one") == wanted


def test_every_flipped_byte_is_told_by_the_tensor_it_is_in(tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_tensors(path, TENSORS)
    whole, digests = path.read_bytes(), tensor_digests(path)
    body = len(whole) - 16 - 6 - 2
    owners = ["its header"] * body + ["the tensor 'a'"] * 16 + ["the tensor 'b'"] * 6 + ["the tensor 'c'"] * 2
    for at in range(body, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert first_damage(path, digests) == owners[at]


@pytest.mark.parametrize(
    ("cut", "told"),
    [(0, "its header"), (5, "its header"), (40, "its header"), (-1, "the tensor 'c'"), (-9, "the tensor 'a'")],
)
def test_a_cut_file_is_told_by_the_first_tensor_that_is_not_whole(cut: int, told: str, tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_tensors(path, TENSORS)
    digests = tensor_digests(path)
    path.write_bytes(path.read_bytes()[:cut])
    assert first_damage(path, digests) == told
