from __future__ import annotations

import collections
import decimal
import os
import pickle
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_deploy.pickles import MOST_OPCODES, Unpickling


def is_pickle(*chunks: bytes, text: bool = True) -> bool:
    unpickling = Unpickling()
    for chunk in chunks:
        unpickling.feed(chunk)
    return unpickling.finish(text=text)


class Attack:
    """What unpickling this would call."""

    def __reduce__(self) -> tuple[Any, ...]:  # Any: a callable and what it is called with
        return os.system, ("true",)


OBJECTS = [
    Attack(),
    [1, Attack()],
    os.system,
    collections.OrderedDict(a=1),
    decimal.Decimal("1.5"),
    {"a": [1, 2.5, None, True], "b": ("x", "ü")},
    [],
    {},
    1,
    2**80,
    "text",
    None,
]


@pytest.mark.parametrize("value", OBJECTS, ids=repr)
def test_what_pickle_writes_with_protocol_0_is_a_pickle(value: object) -> None:
    assert is_pickle(pickle.dumps(value, 0))


CALL = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize(
    "content",
    [
        CALL,
        CALL[:-1],  # it has run before the unpickler misses the STOP
        CALL + b" and then some prose",
        b"cos\nsystem\n.",
        b"cos\nenviron\nS'KEY'\nS'1'\ns# notes\n",  # it has changed what it names before it ends
        b"cos\nenviron\n(S'KEY'\nS'1'\nu# notes\n",
        b"csys\npath\nS'/tmp'\na# notes\n",
        b"csys\npath\n(S'/tmp'\ne# notes\n",
        b'S"it\'s"  \n0' + CALL,
        b"F-.5E3\n0" + CALL,
        b"FInfinity\n0" + CALL,
        b"N." + CALL,
        b"I0x10\n0" + CALL,  # numbers as the unpickler reads them, and pickletools does not
        b"L-1L\n0" + CALL,
        b"F1e5\n0" + CALL,
        "S'é'\n0".encode() + CALL,
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"(((((" + CALL,
        b"(0" + CALL,
        b"(I1\n1" + CALL,
        b"U\x20" + b"x" * 0x20 + b"0" + CALL,
        b"Vos\nVsystem\n\x93(Vtrue\ntR.",
        b"cos\npath.join\n(S'a'\ntR.",
        "cmodül\nfünc\n(tR.".encode(),
        b"N0" * MOST_OPCODES + CALL,
        b"(lp0\nI1\na.\n\n",
    ],
)
def test_a_program_that_would_run_is_a_pickle(content: bytes) -> None:
    assert is_pickle(content)


@pytest.mark.parametrize(
    "content",
    [
        b"class Foo:\n    bar\n    pass\n",
        b"cat\ndog\nfish\n",  # a vocabulary
        b"contents\nthe first\n.. and more\n",
        b"codex is\na tool\n.",
        b"In the beginning\n",
        b"(in short)\n",
        b"No.\n",
        b"R",
        b"0",
        b"tR.",
        b"cos\nsystem",
        b"cos\nsystem\n",
        b"Version 1.\n",
        b"Sheep\ncat\ndog\nbird\n",
        b"Lion\ncow\ndog\nbear\n",
        b"Impala\ncat\ndog\nbird\n",
        b"Fox\ncat\ndog\nbird\n",
        b"pear\n0" + CALL,
        b"goat\n0" + CALL,
        b"S'unquoted\n0" + CALL,
        b"INFO step 1\n" * (MOST_OPCODES + 1),
        b"Page 1\n" * (MOST_OPCODES + 1),
        b"C" + bytes([84]) + b"x" * 84 + b".\n",  # by chance, and in an opcode that protocol 0 does not have
        b"# Model\n",
        b"{}",
        b"\xef\xbb\xbftext",
    ],
)
def test_what_the_unpickler_would_stumble_over_is_text(content: bytes) -> None:
    assert not is_pickle(content)


ANY = st.binary(min_size=1, max_size=300) | st.sampled_from([pickle.dumps(OBJECTS, number) for number in range(6)])


@given(ANY, st.lists(st.integers(0, 600), max_size=9), st.booleans())
def test_any_bytes_have_one_answer_in_whatever_pieces_they_come(content: bytes, cuts: list[int], text: bool) -> None:
    edges = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(edges)]
    assert is_pickle(*pieces, text=text) == is_pickle(content, text=text)
    assert is_pickle(*(content[at : at + 1] for at in range(len(content))), text=text) == is_pickle(content, text=text)


@pytest.mark.parametrize("opcode", [b"I", b"L", b"F", b"S", b"g", b"p"])
@pytest.mark.parametrize("filling", [b"1", b"_", b" ", b"'", b"e", b"0."])
def test_a_long_line_that_is_nearly_right_is_judged_in_one_pass(opcode: bytes, filling: bytes) -> None:
    """A judgement that tried every way to part the line would take days for this one."""
    assert not is_pickle(b"N" + opcode + b"1" + filling * 1_000_000 + b"x\n0" + CALL)


def test_a_persistent_id_stops_a_text_and_nothing_else() -> None:
    content = b"Pid\n0" + CALL
    assert (is_pickle(content), is_pickle(content, text=False)) == (False, True)


def test_a_line_that_is_too_long_to_be_looked_at_is_taken_for_a_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_deploy.pickles.LONGEST_LINE", 100)
    assert is_pickle(b"S'" + b"x" * 200 + b"'\n0" + CALL)
    assert is_pickle(b"cos\nsystem" + b".__call__" * 20 + b"\n(S'true'\ntR.")


def test_no_more_is_kept_than_a_name() -> None:
    unpickling = Unpickling()
    for chunk in (b"V", *[b"x" * 1000] * 100, b"\n0X\xff\xff\xff\x00", *[b"x" * 1000] * 100):
        unpickling.feed(chunk)
        assert len(unpickling._kept) < 10


@given(st.text("NI(tlds.0a\n 1V", min_size=1, max_size=40))
def test_what_unpickles_to_its_last_byte_in_protocol_0_is_a_pickle(text: str) -> None:
    content = text.encode()
    try:
        pickle.loads(content)
    except Exception:  # noqa: BLE001 - the unpickler raises anything
        return
    if content.endswith(b".") and b"." not in content[:-1]:
        assert is_pickle(content)
