from __future__ import annotations

import enum
import hashlib
import io
import json
import math
import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.digest import (
    LARGEST_INTEGER,
    FileEntry,
    canonical_json,
    digest_bytes,
    digest_entries,
    digest_file,
    digest_folder,
    digest_json,
    digest_path,
    digest_stream,
    list_folder,
    open_regular,
    sort_entries,
    walk_files,
)
from codex_core.errors import DigestError

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

# RFC 8785, appendix B: IEEE 754 bits, and the number as JSON.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_in_appendix_b_of_rfc_8785(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(number).decode() == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (0.1, "0.1"),
        (100.0, "100"),
        (-2.50, "-2.5"),
    ],
)
def test_a_number_changes_its_notation_where_ecmascript_does(number: float, text: str) -> None:
    assert canonical_json(number).decode() == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_the_same_double(number: float) -> None:
    assert float(canonical_json(number)) == number


def test_the_sample_of_rfc_8785_section_3_2_2_has_the_bytes_of_section_3_2_4() -> None:
    sample = json.loads(
        r"""{
          "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"""
    )
    assert canonical_json(sample) == (
        rb'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        b'"string":"\xe2\x82\xac$' + rb"""\u000f\nA'B\"\\\\\"/"}"""
    )


def test_members_are_sorted_as_in_rfc_8785_section_3_2_3() -> None:
    sample = json.loads(
        r"""{
          "\u20ac": "Euro Sign",
          "\r": "Carriage Return",
          "\ufb33": "Hebrew Letter Dalet With Dagesh",
          "1": "One",
          "\ud83d\ude00": "Emoji: Grinning Face",
          "\u0080": "Control",
          "\u00f6": "Latin Small Letter O With Diaeresis"
        }"""
    )
    assert list(json.loads(canonical_json(sample)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_texts_escape_what_rfc_8785_section_3_2_2_2_says_and_nothing_else() -> None:
    controls = "".join(map(chr, range(0x20)))
    short = {8: r"\b", 9: r"\t", 10: r"\n", 12: r"\f", 13: r"\r"}
    escaped = "".join(short.get(code, f"\\u{code:04x}") for code in range(0x20))
    assert canonical_json(controls + '"\\/\x7f\u2028é😀').decode() == f'"{escaped}\\"\\\\/\x7f\u2028é😀"'


@given(json_values)
def test_canonical_json_reads_back_and_is_its_own_canonical_form(value: object) -> None:
    text = canonical_json(value)
    doubles = json.loads(text, parse_int=float)  # as ECMAScript has them, and Python does not
    assert doubles == value
    assert canonical_json(doubles) == text


@given(st.dictionaries(st.text(), st.integers(0, 9)))
def test_the_order_of_members_does_not_change_the_digest(value: dict[str, int]) -> None:
    assert digest_json(dict(reversed(value.items()))) == digest_json(value)


def test_empty_values_and_tuples_have_a_form() -> None:
    assert canonical_json([{}, [], (), "", (1, 2)]) == b'[{},[],[],"",[1,2]]'


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_are_taken_up_to_2_to_the_53_and_refused_beyond(sign: int) -> None:
    assert canonical_json(sign * 2**53) == str(sign * 9007199254740992).encode()
    with pytest.raises(DigestError):
        canonical_json(sign * (2**53 + 1))


def _loop() -> list[object]:
    loop: list[object] = []
    loop.append(loop)
    return loop


def _nested(depth: int) -> object:
    value: object = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        10**5000,
        -(10**5000),
        "\ud800",
        {"\udfff": 1},
        {1: "a"},
        {None: "a"},
        {"a": {2.5: 1}},
        b"bytes",
        {1, 2},
        object(),
        [1, [2, {"a": 1j}]],
        Path("x"),
        _loop(),
        _nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_canonical_form_is_refused_and_nothing_else_is_raised(value: object) -> None:
    with pytest.raises(DigestError) as caught:
        canonical_json(value)
    assert "canonical JSON form" in str(caught.value)


def test_enumerations_are_written_and_sorted_as_their_values() -> None:
    class Name(str, enum.Enum):  # noqa: UP042  # its str() is Name.LAST, unlike a StrEnum's
        LAST = "a"
        FIRST = "b"

    class Count(enum.IntEnum):
        TWO = 2

    assert canonical_json({Name.FIRST: Count.TWO, Name.LAST: Name.LAST}) == b'{"a":"a","b":2}'


def test_a_subclass_of_float_is_written_as_its_number() -> None:
    class Measured(float):
        def __repr__(self) -> str:
            return f"Measured({float(self)})"

        def __abs__(self) -> Measured:
            return Measured(abs(float(self)))

    assert canonical_json([Measured(-1.5), Measured(1e22)]) == b"[-1.5,1e+22]"


def test_digests_are_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert digest_bytes(b"") == EMPTY
    assert digest_bytes(b"abc") == ABC
    assert digest_file(tmp_path / "abc") == ABC
    assert digest_path(tmp_path / "abc") == ABC
    assert digest_json({"b": 1, "a": [True]}) == digest_bytes(b'{"a":[true],"b":1}')


@pytest.mark.parametrize("size", [0, 1, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**18])
def test_a_file_of_any_size_has_the_digest_of_its_bytes(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert digest_file(tmp_path / "file") == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_a_stream_is_digested_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"xyzabc")
    memory = io.BytesIO(b"xyzabc")
    memory.seek(3)
    with (tmp_path / "file").open("rb") as file:
        file.seek(3)
        assert [digest_stream(memory), digest_stream(file)] == [ABC, ABC]


def _fill(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


NAMES = ["b", "a/z", "a.txt", "a/b/c", "é", "😀", "\ufb33", "a b"]


def test_a_folder_is_listed_in_the_order_of_its_paths_bytes(tmp_path: Path) -> None:
    _fill(tmp_path, NAMES)
    (tmp_path / "empty/within").mkdir(parents=True)
    expected = tuple(
        FileEntry(name, len(name.encode()), digest_bytes(name.encode()))
        for name in ["a b", "a.txt", "a/b/c", "a/z", "b", "é", "\ufb33", "😀"]
    )
    assert list_folder(tmp_path) == expected
    assert sort_entries(reversed(expected)) == expected
    assert sorted(walk_files(tmp_path)) == sorted(NAMES)


def test_a_folders_digest_is_that_of_the_canonical_json_of_its_sorted_listing(tmp_path: Path) -> None:
    _fill(tmp_path, ["b", "a/c"])
    listing = f'[["a/c",3,"{digest_bytes(b"a/c")}"],["b",1,"{digest_bytes(b"b")}"]]'
    assert digest_folder(tmp_path) == digest_bytes(listing.encode())
    assert digest_path(tmp_path) == digest_folder(tmp_path)
    assert digest_entries(reversed(list_folder(tmp_path))) == digest_folder(tmp_path)


def test_order_times_modes_and_empty_folders_do_not_change_a_folders_digest(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    _fill(one, NAMES)
    _fill(other, NAMES[::-1])
    (other / "empty").mkdir()
    os.utime(other / "b", (0, 0))
    (other / "b").chmod(0o500)
    (other / "a").chmod(0o700)
    assert digest_folder(other) == digest_folder(one)


@pytest.mark.parametrize("change", ["content", "name", "more", "less", "moved"])
def test_content_and_names_change_a_folders_digest(tmp_path: Path, change: str) -> None:
    _fill(tmp_path, ["a", "b/c"])
    before = digest_folder(tmp_path)
    match change:
        case "content":
            (tmp_path / "a").write_text("A")
        case "name":
            (tmp_path / "a").rename(tmp_path / "A")
        case "more":
            (tmp_path / "d").touch()
        case "less":
            (tmp_path / "a").unlink()
        case "moved":
            (tmp_path / "a").rename(tmp_path / "b/a")
    assert digest_folder(tmp_path) != before


def _link_to_file(place: Path) -> None:
    (place.parent / "target").write_text("x")
    place.symlink_to("target")


def _link_to_folder(place: Path) -> None:
    (place.parent / "folder").mkdir()
    place.symlink_to("folder")


def _dangling_link(place: Path) -> None:
    place.symlink_to("nowhere")


def _socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(place))


ODD = [_link_to_file, _link_to_folder, _dangling_link, _socket, os.mkfifo]


@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_links_and_special_files_in_a_folder_are_refused_by_name(
    tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may not be long
    assert callable(make)
    make(Path("odd"))
    for ask in (digest_folder, lambda folder: list(walk_files(folder))):
        with pytest.raises(DigestError, match="odd"):
            ask(tmp_path)


@pytest.mark.parametrize("make", [*ODD, os.mkdir], ids=lambda make: make.__name__)
def test_only_a_regular_file_has_a_files_digest(tmp_path: Path, make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(make)
    make(Path("odd"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(DigestError, match="odd"):
        digest_file("odd")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_link_to_a_folder_has_no_digest(tmp_path: Path) -> None:
    _link_to_folder(tmp_path / "odd")
    for ask in (digest_folder, digest_path, list_folder):
        with pytest.raises(DigestError, match="odd"):
            ask(tmp_path / "odd")


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff/file"])
def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118  # pathlib does not take bytes
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    Path(os.fsdecode(path)).touch()
    with pytest.raises(DigestError, match="not UTF-8"):
        digest_folder(tmp_path)


def test_a_listing_with_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(DigestError):
        digest_entries([FileEntry("\udcff", 0, EMPTY), FileEntry("a", 0, EMPTY)])


def test_what_is_missing_is_an_error_of_the_system(tmp_path: Path) -> None:
    for ask in (digest_file, digest_path, digest_folder):
        with pytest.raises(FileNotFoundError):
            ask(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        digest_folder(tmp_path / "file")


def test_a_regular_file_is_opened_below_a_folder_by_its_descriptor(tmp_path: Path) -> None:
    _fill(tmp_path, ["a"])
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with open_regular("a", dir_fd=folder) as stream:
            assert stream.read() == b"a"
    finally:
        os.close(folder)


def test_a_file_that_grows_while_it_is_read_is_listed_with_the_size_that_was_digested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(tmp_path, ["log"])
    opened = open_regular

    def open_and_grow(path: Path) -> object:
        stream = opened(path)
        with path.open("a") as more:
            more.write(" and more")
        return stream

    monkeypatch.setattr("codex_core.digest.open_regular", open_and_grow)
    assert list_folder(tmp_path) == (FileEntry("log", 12, digest_bytes(b"log and more")),)
