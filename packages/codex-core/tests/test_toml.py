"""Promises of codex_core.toml: every key of a document has its place, and what is no TOML is said with its place."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from codex_core.digest import digest_bytes
from codex_core.errors import ConfigError, Problem
from codex_core.toml import KeyPath, parse_toml, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT = '''\
a = 1
b.c = "x" # [no]
"q k" = \'\'\' = [
x]\'\'\'
[stages.train]
with = { steps = [1, {y = 2}], "z.z" = """a"b""""" , t = 2020-01-01 10:00:00 }
[[p.allow]]
id = [ # c
  "a,]", [3,],
]
[[ p . "allow" ]]
  id = 2
  [p.allow.sub]
  x=1
[stages]
\'é\' = {"\\u00e9" = []}
'''

PLACES = {
    ("a",): (1, 1),
    ("b",): (2, 1),
    ("b", "c"): (2, 3),
    ("q k",): (3, 1),
    ("stages",): (15, 2),
    ("stages", "train"): (5, 9),
    ("stages", "train", "with"): (6, 1),
    ("stages", "train", "with", "steps"): (6, 10),
    ("stages", "train", "with", "steps", 0): (6, 19),
    ("stages", "train", "with", "steps", 1): (6, 22),
    ("stages", "train", "with", "steps", 1, "y"): (6, 23),
    ("stages", "train", "with", "z.z"): (6, 32),
    ("stages", "train", "with", "t"): (6, 54),
    ("p",): (7, 3),
    ("p", "allow"): (7, 5),
    ("p", "allow", 0): (7, 5),
    ("p", "allow", 0, "id"): (8, 1),
    ("p", "allow", 0, "id", 0): (9, 3),
    ("p", "allow", 0, "id", 1): (9, 10),
    ("p", "allow", 0, "id", 1, 0): (9, 11),
    ("p", "allow", 1): (11, 8),
    ("p", "allow", 1, "id"): (12, 3),
    ("p", "allow", 1, "sub"): (13, 12),
    ("p", "allow", 1, "sub", "x"): (14, 3),
    ("stages", "é"): (16, 1),
    ("stages", "é", "é"): (16, 8),
}


def test_every_key_and_item_has_its_place() -> None:
    source = parse_toml(DOCUMENT, "codex.toml")
    assert {path: source.position(path) for path, _ in _paths(source.data)} == PLACES


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("p", "allow", 1, "missing"), (11, 8)),
        (("stages", "train", "with", "steps", 1, "y", "deeper", 3), (6, 23)),
        (("p", "deny", 0), (7, 3)),
        (("missing", "too"), (1, 1)),
        ((), (1, 1)),
    ],
)
def test_what_the_document_lacks_is_where_the_nearest_table_is(path: KeyPath, place: tuple[int, int]) -> None:
    assert parse_toml(DOCUMENT, "codex.toml").position(path) == place


def test_problem_stands_at_its_key() -> None:
    source = parse_toml("[a]\r\n  b = 1\r\n", "f.toml")
    assert source.problem(("a", "b"), "too small", "write 2") == Problem(
        "config.invalid", "too small", "write 2", "f.toml", 2, 3
    )
    assert source.problem((), "no 'c'", code="x.y") == Problem("x.y", "no 'c'", None, "f.toml", 1, 1)


def test_file_is_read_with_the_digest_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "codex.toml"
    file.write_bytes(b"a = 1\r\n")
    source = read_toml(file)
    assert (source.name, source.data, source.digest) == (str(file), {"a": 1}, digest_bytes(b"a = 1\r\n"))
    assert read_toml(file, name="codex.toml").name == "codex.toml"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a = 1\nb = yes\n", "f.toml:2:5: not valid TOML: invalid value; text stands in quotes"),
        (b"[a]\n[a]\n", "f.toml:2:3: not valid TOML: cannot declare 'a' twice; a table has one header"),
        (b"[a.b]\n[a.b]\n", "f.toml:2:5: not valid TOML: cannot declare 'a.b' twice; a table has one header"),
        (b"a = 1\na = 2\n", "f.toml:2:6: not valid TOML: cannot overwrite a value; a key has one value"),
        (
            b"a",
            "f.toml:1:2: not valid TOML: expected '=' after a key in a key/value pair; see https://toml.io/en/v1.0.0",
        ),
        (b"[a]\nb = 2026-13-01\n", "f.toml:2:5: '2026-13-01' is no date; write one such as 2027-01-31"),
        (b"b = 2026-1-1 # c\n", "f.toml:1:5: '2026-1-1' is no date; write one such as 2027-01-31"),
        (b"a = [1,\r\n", "f.toml:2:1: not valid TOML: invalid value; text stands in quotes"),
        ("ä = 'ü\n'".encode(), "f.toml:1:1: not valid TOML: invalid statement; see https://toml.io/en/v1.0.0"),
        (b"a = 1\n\xc3\xbcb\xff = 2", "f.toml:2:3: not UTF-8: byte 0xff begins no character; save the file as UTF-8"),
        (b"\xef\xbb\xbfa = 1", "f.toml:1:1: the file begins with a byte order mark; save it as UTF-8 without one"),
        (b"a = " + b"[" * 5000, "f.toml: values are nested too deeply; use fewer levels of brackets"),
    ],
)
def test_what_is_no_toml_is_one_problem_at_its_place(tmp_path: Path, data: bytes, error: str) -> None:
    (tmp_path / "f.toml").write_bytes(data)
    with pytest.raises(ConfigError) as raised:
        read_toml(tmp_path / "f.toml", name="f.toml")
    assert str(raised.value) == error
    assert len(raised.value.problems) == 1


def test_integer_of_too_many_digits_is_a_mistake_of_the_file() -> None:
    with pytest.raises(ConfigError, match=r"f\.toml: not valid TOML: exceeds the limit"):
        parse_toml("a = 1" + "0" * 5000, "f.toml")


def test_text_with_a_lone_surrogate_is_not_utf8() -> None:
    with pytest.raises(ConfigError, match=r"f\.toml:1:6: not UTF-8"):
        parse_toml("a = '\udc80'", "f.toml")


def test_file_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing:
        read_toml(tmp_path / "none.toml", name="none.toml")
    assert str(missing.value) == "none.toml does not exist; check the path, or create the file"
    with pytest.raises(ConfigError) as folder:
        read_toml(tmp_path, name="here")
    assert str(folder.value) == "here cannot be read: Is a directory; check its path and its permissions"


def test_deep_values_have_places_too() -> None:
    depth = 150
    source = parse_toml("a = " + "[" * depth + "7" + "]" * depth, "f.toml")
    assert source.position(("a", *[0] * depth)) == (1, 5 + depth)


# --- every document ---------------------------------------------------------------------------------------------

KEYS = st.one_of(
    st.text("ab1_-", min_size=1, max_size=3),
    st.text(st.characters(codec="utf-8"), max_size=3),
    st.sampled_from(["a.b", "[x]", "#", '"', "'", "=", " ", "\\", "é"]),
)
SCALARS = st.sampled_from(
    [
        "1",
        "0x1F",
        "1_000.5e-3",
        "true",
        "inf",
        "1979-05-27 07:32:00Z",
        "07:32:00.5",
        '"a, ] } # \\" = [x] \\\\"',
        "'\\'",
        '""',
        "''",
        '"""\n[a]\nb = """',
        '"""""x"""""',
        "'''\n}' ''b,'''",
        '"""\\\n  # \\""" """',
    ]
)
GAPS = st.sampled_from(["", " ", "\t ", "  "])
BREAKS = st.sampled_from(["", " ", "\n", " # [c] = {\n", "\r\n\t"])


@dataclass(frozen=True)
class Tree:
    """A table, or, with ``many``, the tables of an array."""

    values: dict[str, str]
    tables: dict[str, Tree | list[Tree]]


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(st.tuples(BREAKS, inner, BREAKS), max_size=3).map(
            lambda items: "[" + ",".join(a + value + b for a, value, b in items) + "]"
        ),
        st.dictionaries(KEYS, st.tuples(GAPS, inner, GAPS), max_size=3).map(
            lambda items: (
                "{" + ",".join(f"{a}{_quote(key)}{b}={a}{value}{b}" for key, (a, value, b) in items.items()) + "}"
            )
        ),
    ),
    max_leaves=5,
)


def _trees(tables: st.SearchStrategy[dict[str, Tree | list[Tree]]]) -> st.SearchStrategy[Tree]:
    return st.builds(Tree, st.dictionaries(KEYS, VALUES, max_size=3), tables)


def _named(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[dict[str, Tree | list[Tree]]]:
    return st.dictionaries(KEYS, st.one_of(inner, st.lists(inner, min_size=1, max_size=3)), max_size=2)


TREES = _trees(_named(_trees(_named(_trees(st.just({}))))))


def _quote(key: str) -> str:
    """``key`` bare, literal or basic, by what it allows and by its length."""
    if key and set(key) <= set("ab1_-"):
        return key
    if key.isprintable() and "'" not in key and len(key) % 2:
        return f"'{key}'"
    return (
        '"' + "".join(f"\\U{ord(char):08X}" if char in '"\\' or not char.isprintable() else char for char in key) + '"'
    )


def _write(tree: Tree, path: tuple[str, ...], gap: str, blank: str, *, dotted: bool) -> Iterator[str]:
    header = f"{gap}.{gap}".join(map(_quote, path))
    for key, value in tree.values.items():
        yield f"{gap}{_quote(key)}{gap}={gap}{value}{gap}\n{blank}\n"
    for key, below in tree.tables.items():
        if isinstance(below, Tree) and dotted and not below.tables:
            for inner, value in below.values.items():
                yield f"{_quote(key)}{gap}.{_quote(inner)}={value}\n"
    for key, below in tree.tables.items():
        name = f"{header}{gap}.{_quote(key)}" if path else _quote(key)
        if isinstance(below, list):
            for item in below:
                yield f"{gap}[[{gap}{name}{gap}]]{gap}# ]\n{blank}\n"
                yield from _write(item, (*path, key), gap, blank, dotted=dotted)
        elif not dotted or below.tables:
            yield f"[{name}]\n"
            yield from _write(below, (*path, key), gap, blank, dotted=dotted)


def _paths(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Every path below ``value``, with what is there."""
    items: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, inner in items:
        yield (*path, key), inner
        yield from _paths(inner, (*path, key))


def _begins_key(text: str, key: str) -> bool:
    """Whether ``text`` begins with a spelling of ``key``."""
    ends = (end for end in range(1, 40) if text[:end].strip() == text[:end])
    return any(_parsed(f"{text[:end]} = 0") == {key: 0} for end in ends)


def _begins_value(text: str, value: object) -> bool:
    """Whether ``text`` begins with a spelling of ``value``."""
    ends = (end for end in range(1, len(text) + 1) if not text[0].isspace())
    return any(repr(_parsed(f"v = {text[:end]}")) == repr({"v": value}) for end in ends)


def _parsed(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


@given(TREES, GAPS, BREAKS, st.booleans())
def test_place_of_every_path_of_every_document_begins_its_key(tree: Tree, gap: str, blank: str, dotted: bool) -> None:
    text = "".join(_write(tree, (), gap, blank, dotted=dotted))
    try:
        source = parse_toml(text, "f.toml")
    except ConfigError:
        event("a value and a table have one name")
        return
    lines = text.split("\n")
    for path, value in _paths(source.data):
        place = source.position(path)
        here = "\n".join([lines[place[0] - 1][place[1] - 1 :], *lines[place[0] :]])
        name = path[-1]
        if isinstance(name, str):
            assert _begins_key(here, name), (path, here)
        else:
            header = path[-2]
            in_header = isinstance(header, str) and isinstance(value, dict) and _begins_key(here, header)
            assert in_header or _begins_value(here, value), (path, here)
