from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.errors import ContentRefused
from codex_deploy.weights import LONGEST_HEADER, Weights, header_length, read_header

Header = dict[str, object]


def header(**tensors: object) -> bytes:
    return json.dumps(tensors).encode()


def tensor(dtype: object, shape: object, start: object, end: object) -> Header:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_a_header_gives_the_number_of_parameters_and_the_data_types() -> None:
    content = header(b=tensor("F32", [2, 3], 4, 28), a=tensor("BF16", [2], 0, 4), c=tensor("F32", [0, 9], 28, 28))
    assert read_header(content + b"   ", 28) == Weights(8, ("BF16", "F32"))


def test_a_scalar_and_a_type_of_half_a_byte_are_counted_in_bits() -> None:
    assert read_header(header(a=tensor("F64", [], 0, 8), b=tensor("F4", [3, 2], 8, 11)), 11).parameters == 7


def test_metadata_are_texts_and_may_say_anything() -> None:
    content = json.dumps({"__metadata__": {"note": "cos\nsystem\n(S'id'\ntR."}, "a": tensor("U8", [1], 0, 1)}).encode()
    assert read_header(content, 1) == Weights(1, ("U8",))


@pytest.mark.parametrize(
    ("content", "size", "what"),
    [
        (b"{", 0, "no JSON"),
        (b"[]", 0, "no object"),
        (b"{\xff}", 0, "no JSON"),
        (b'{"a": NaN}', 0, "NaN"),
        (b'{"a": {}, "a": {}}', 0, "twice"),
        (b"{" * 5000, 0, "no JSON"),
        (b'{"__metadata__": {"a": 1}}', 0, "__metadata__"),
        (header(a=tensor("F32", [2], 0, 7)), 7, "does not fill"),
        (header(a=tensor("F4", [1], 0, 1)), 1, "does not fill"),
        (header(a=tensor("F32", [2], 8, 0)), 8, "does not fill"),
        (header(a=tensor("O", [2], 0, 8)), 8, "unknown data type"),
        (header(a=tensor(["F32"], [2], 0, 8)), 8, "unknown data type"),
        (header(a=tensor("F32", [-2], 0, 8)), 8, "no natural numbers"),
        (header(a=tensor("F32", [True, 2], 0, 8)), 8, "no natural numbers"),
        (header(a=tensor("F32", [2.0], 0, 8)), 8, "no natural numbers"),
        (header(a=tensor("U8", [2**62, 2**62], 0, 2**63)), 8, "no natural numbers"),
        (header(a=tensor("U8", "2", 0, 2)), 2, "no natural numbers"),
        (header(a={"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "more": 0}), 1, "just dtype"),
        (header(a={"dtype": "U8", "shape": [1], "data_offsets": [0]}), 1, "no natural numbers"),
        (header(a=tensor("U8", [4], 0, 4), b=tensor("U8", [4], 3, 7)), 7, "overlap"),
        (header(a=tensor("U8", [4], 0, 4), b=tensor("U8", [4], 5, 9)), 9, "leave a gap"),
        (header(a=tensor("U8", [4], 1, 5)), 5, "leave a gap"),
        (header(a=tensor("U8", [4], 0, 4)), 5, "leave a gap"),
        (header(a=tensor("U8", [4], 0, 4)), 3, "overlap"),
        (b"{}", 1, "leave a gap"),
        (header(a=tensor("F32", [2**62] * 50_000, 0, 4)), 4, "with 50000 dimensions does not fill"),
        (header(a=tensor("F32", [2**62] * 50_000 + [0], 0, 4)), 4, "with 50001 dimensions does not fill"),
    ],
)
def test_a_header_that_does_not_hold_is_refused_with_the_reason(content: bytes, size: int, what: str) -> None:
    with pytest.raises(ContentRefused, match=what):
        read_header(content, size)


def test_a_file_is_meant_as_safetensors_by_its_length_and_brace() -> None:
    assert header_length((2).to_bytes(8, "little") + b"{") == 2
    assert header_length(LONGEST_HEADER.to_bytes(8, "little") + b"{") == LONGEST_HEADER
    assert header_length((LONGEST_HEADER + 1).to_bytes(8, "little") + b"{") is None
    assert header_length((2).to_bytes(8, "little") + b"[") is None
    assert header_length(b"{}") is None


@given(st.binary(max_size=200), st.integers(0, 100))
def test_no_header_makes_the_check_fail_otherwise(content: bytes, size: int) -> None:
    try:
        read_header(content, size)
    except ContentRefused:
        return
    assert content.strip() in (b"{}", b'{"__metadata__":{}}')


numbers = st.integers(-2, 70) | st.sampled_from([2**63, 2**64, 0.5, True, None])
tensors = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "F4", "BF16", "X"]),
        "shape": st.lists(numbers, max_size=3),
        "data_offsets": st.lists(numbers, min_size=1, max_size=3),
    }
)


@given(st.dictionaries(st.text(max_size=3), tensors, max_size=3), st.integers(0, 70))
def test_what_is_accepted_covers_every_byte_once(found: dict[str, dict[str, list[int]]], size: int) -> None:
    found.pop("__metadata__", None)
    try:
        read_header(json.dumps(found).encode(), size)
    except ContentRefused:
        return
    covered = sorted(byte for one in found.values() for byte in range(*one["data_offsets"]))
    assert covered == list(range(size))


def test_what_the_writer_of_this_format_writes_is_read(safetensors: Callable[..., bytes]) -> None:
    content = safetensors({"a": ("F32", [2], b"\0" * 8)}, {"format": "pt"})
    length = header_length(content[:9])
    assert length is not None
    assert read_header(content[8 : 8 + length], 8) == Weights(2, ("F32",))
