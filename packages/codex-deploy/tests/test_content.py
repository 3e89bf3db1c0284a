from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.errors import ContentRefused
from codex_deploy.content import LARGEST_TEXT, NAMED_BY, Content, Examiner, examine
from codex_deploy.pickles import Unpickling


def zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PICKLED = {"a": [1.5, "text"], "b": (None, True)}
NUMPY = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(128) + b"\n"

REFUSED = {
    **{f"pickle {protocol}": (pickle.dumps(PICKLED, protocol), "pickle") for protocol in range(6)},
    "pickle of a number": (pickle.dumps(7, 2), "pickle"),
    "legacy torch.save": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "pickle"),
    "torch.save": (zipped("archive/data.pkl", pickle.dumps(PICKLED)), "zip archive"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "zip archive"),
    "npz": (zipped("a.npy", NUMPY), "zip archive"),
    "npy of objects": (NUMPY + pickle.dumps(PICKLED, 4), "numpy"),
    "joblib": (zlib.compress(pickle.dumps(PICKLED)), "zlib"),
    "gzip": (gzip.compress(pickle.dumps(PICKLED)), "gzip"),
    "gzip of text": (gzip.compress(b"text"), "gzip"),
    "bzip2": (bz2.compress(pickle.dumps(PICKLED)), "bzip2"),
    "xz": (lzma.compress(pickle.dumps(PICKLED)), "xz"),
    "lzma": (lzma.compress(pickle.dumps(PICKLED), format=lzma.FORMAT_ALONE), "lzma"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00\x01\x00", "zstd"),
    "tar": (tarred("a.txt", b"text"), "tar archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n\x00", "HDF5"),
    "onnx": (b"\x08\x07\x12\x07pytorch\x1a\x05", "binary data"),
    "gguf": (b"GGUF\x03\x00\x00\x00", "GGUF"),
    "elf": (b"\x7fELF\x02\x01\x01\x00", "ELF"),
    "utf-16": ("text".encode("utf-16"), "binary data"),
    "latin-1": ("Wörter".encode("latin-1"), "binary data"),
    "a NUL": (b"text\0", "binary data"),
    "an escape": (b"\x1b[31mred", "binary data"),
    "a DEL": (b"text\x7f", r"U\+007F"),
    "a C1 control": ("text\x9b31m".encode(), r"U\+009B"),
    "a NUL in JSON": (b'{"a": 1}\0', "binary data"),
}


@pytest.mark.parametrize(("content", "what"), REFUSED.values(), ids=REFUSED.keys())
def test_anything_else_is_refused_with_what_it_is_and_a_way_out(content: bytes, what: str) -> None:
    with pytest.raises(ContentRefused, match=what) as caught:
        examine([content])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "kind", "schema"),
    [
        (b'{"schema": "codex.audit/1"}', "json", "codex.audit/1"),
        (b'{"schema": 1}', "json", None),
        (b" [1, 2.5e3, null, true]\n", "json", None),
        (b'"text"', "json", None),
        (b"1" * 5000, "json", None),
        ('{"a": "\x7f\x9b"}'.encode(), "json", None),  # vocabularies have such
        (b"", "text", None),
        (b"# Model\n\n- a\tlist\r\n\x0c", "text", None),
        ("\ufeffWörter".encode(), "text", None),
        (b"{not JSON}", "text", None),
        (b'{"a": NaN}', "text", None),
        (b"[" * 100_000, "text", None),
        (b"true story", "text", None),
        (b"cat\ndog\nfish\n", "text", None),
    ],
)
def test_json_and_text_are_told_apart_by_what_they_hold(content: bytes, kind: str, schema: str | None) -> None:
    found = examine([content])
    assert (found.kind, found.schema) == (kind, schema)


def test_a_pickle_inside_of_data_is_data(safetensors: Callable[..., bytes]) -> None:
    attack = b"cos\nsystem\n(S'id'\ntR."
    tensor = safetensors({"a": ("U8", [len(attack)], attack)}, {"note": attack.decode()})
    assert examine([tensor]).kind == "safetensors"
    assert examine([json.dumps({"note": attack.decode()}).encode()]).kind == "json"


def test_a_pickle_whose_program_goes_on_far_behind_the_header_is_refused(safetensors: Callable[..., bytes]) -> None:
    """X, the first byte of the length, skips into the header, and V from there to a line feed in a tensor."""
    attack = bytes(3_000_000) + b"\n0cos\ngetpid\n(tR."
    tensors = {"a": ("U8", [len(attack)], attack)}
    skipped = 120  # from the fifth byte of the file
    empty = safetensors(tensors, {"n": ""})
    begin, header = empty.index(b'"n": "') + len(b'"n": "'), int.from_bytes(empty[:8], "little")
    note = "0V".rjust(5 + skipped - begin + len("0V"))
    content = safetensors(tensors, {"n": note.ljust((ord("X") | skipped << 8) - header)})
    assert pickle.loads(content) == os.getpid()
    with pytest.raises(ContentRefused, match="a pickle that is a safetensors file as well"):
        examine(content[start : start + 4096] for start in range(0, len(content), 4096))


def test_safetensors_that_do_not_hold_are_named_so(safetensors: Callable[..., bytes]) -> None:
    content = safetensors({"a": ("F32", [2], b"\0" * 8)})
    for damaged in (content[:-1], content + b"\0", content[:20]):
        with pytest.raises(ContentRefused, match="safetensors header"):
            examine([damaged])


def test_a_text_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_deploy.content.LARGEST_TEXT", 1000)
    assert examine([b"x" * 999, b"x"]).kind == "text"
    with pytest.raises(ContentRefused, match="1001 bytes"):
        examine([b"x" * 1000, b"x"])
    assert LARGEST_TEXT == 2**26


def test_no_more_is_kept_than_is_needed(safetensors: Callable[..., bytes]) -> None:
    large = safetensors({"a": ("U8", [1_000_000], bytes(1_000_000))})
    for content in (large, pickle.dumps(bytes(1_000_000))):
        examiner = Examiner()
        for start in range(0, len(content), 1000):
            examiner.feed(content[start : start + 1000])
        assert len(examiner._kept) <= max(2000, NAMED_BY)


def outcome(chunks: list[bytes]) -> Content | str:
    try:
        return examine(chunks)
    except ContentRefused as error:
        return f"{error.message}; {error.hint}"


@given(st.binary(max_size=400))
def test_random_bytes_are_one_of_the_kinds_or_refused(content: bytes) -> None:
    found = outcome([content])
    if isinstance(found, str):
        assert found.startswith(("is ", "has a safetensors header"))
    elif found.kind != "safetensors":
        content.decode()


@given(st.text(max_size=200))
def test_any_text_is_text_or_json_unless_it_is_a_pickle_or_has_control_characters(text: str) -> None:
    found = outcome([text.encode()])
    plain = not any((letter < " " and letter not in "\t\n\r\f") or "\x7f" <= letter <= "\x9f" for letter in text)
    unpickling = Unpickling()
    unpickling.feed(text.encode())
    if plain and not unpickling.finish(text=True):
        assert isinstance(found, Content)


@given(st.sampled_from(sorted(REFUSED)) | st.just("safetensors"), st.lists(st.integers(0, 300), max_size=5))
def test_the_pieces_in_which_bytes_come_change_nothing(name: str, cuts: list[int]) -> None:
    header = json.dumps({"a": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]}}).encode()
    known = len(header).to_bytes(8, "little") + header + bytes(9)
    content = REFUSED[name][0] if name in REFUSED else known
    edges = [0, *sorted(cuts), len(content)]
    pieces = [content[start:end] for start, end in pairwise(edges)]
    assert outcome(pieces) == outcome([content])
