"""Names: what a look-up inside is heard as, and answered with."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.offline.names import answer

HEAD = struct.pack(">6H", 0x1234, 0x0100, 1, 0, 0, 0)


def question(name: str, tail: bytes = b"\0\0\1\0\1") -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return HEAD + labels + tail


def test_a_look_up_is_answered_with_no_such_name() -> None:
    asked = question("Models.Example")
    assert answer(asked) == ("models.example", asked[:2] + b"\x81\x83" + b"\0\1" + bytes(6) + asked[12:])


def test_what_extends_a_question_is_left_out_of_the_answer() -> None:
    extended = question("a.example") + b"\0\0\x29\x04\xb0" + bytes(6)  # EDNS(0), RFC 6891
    found = answer(extended[:11] + b"\1" + extended[12:])
    assert found is not None
    assert found[1][12:] == question("a.example")[12:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        question("a.example")[:-1],
        question("a\x1b[2J"),
        question("", tail=b"\0\1\0\1"),
        HEAD + b"\xc0\x0c\0\1\0\1",
        HEAD[:2] + b"\x81" + question("a.example")[3:],
        HEAD[:4] + b"\0\2" + question("a.example")[6:],
    ],
)
def test_what_is_no_question_is_not_answered(data: bytes) -> None:
    assert answer(data) is None


@given(st.binary(max_size=64) | st.binary(max_size=64).map(HEAD.__add__))
def test_any_bytes_are_answered_or_not(data: bytes) -> None:
    found = answer(data)
    assert found is None or found[0].isprintable()
