"""Promises of codex_core.wording: hints name what is near, and a validator's own words are kept."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import pytest

from codex_core.errors import UrlError
from codex_core.wording import Said, describe, did_you_mean, existing_path, shown, subject


@pytest.mark.parametrize(
    ("name", "hint"),
    [("input", "did you mean 'inputs'?"), ("INPUTS", "did you mean 'inputs'?"), ("zzz", None), ("", None)],
)
def test_hint_names_what_is_near(name: str, hint: str | None) -> None:
    assert did_you_mean(name, ["inputs", "outputs", "uses"]) == hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é\n", '"é\\n"'),
        (True, "true"),
        (1.5, "1.5"),
        ([1], "a list"),
        ({}, "a table"),
        (date(2027, 1, 31), "2027-01-31"),
        (time(7, 32), "07:32:00"),
        ("x" * 99, '"' + "x" * 55 + "..."),
    ],
)
def test_value_is_shown_as_its_toml(value: object, text: str) -> None:
    assert shown(value) == text


def test_path_is_said_as_a_person_would() -> None:
    assert subject((), "store 'a'") == "store 'a'"
    assert subject(("a", "b"), "w") == "'a.b' in w"
    assert subject(("a", 1, "b", 0), "w") == "item 1 of 'b' of item 2 of 'a' in w"
    assert subject((2,), "w") == "item 3 in w"


def test_path_ends_where_the_data_does() -> None:
    data = {"a": [{"b": 1}]}
    assert existing_path(("a", 0, "b", "int"), data) == ("a", 0, "b")
    assert existing_path(("a", "list[Inner]", 0), data) == ("a",)
    assert existing_path(("c",), data) == ()


def test_words_of_a_validator_are_kept() -> None:
    details: list[dict[str, object]] = [
        {"type": "value_error", "loc": ("a",), "ctx": {"error": UrlError("not a URL", hint="write one")}, "msg": ""},
        {"type": "value_error", "loc": (), "ctx": {"error": ValueError("a and b exclude each other")}, "msg": ""},
        {"type": "path_not_file", "loc": ("a",), "msg": "Path does not point to a file"},
        {"type": "string_not_ascii", "loc": ("a",), "msg": "String should contain only ASCII characters"},
    ]
    assert list(describe(details, {"a": "x"}, "the file", lambda _: {})) == [
        Said(("a",), "'a' in the file: not a URL", "write one"),
        Said((), "the file: a and b exclude each other", None),
        Said(("a",), "'a' in the file: Path does not point to a file", None),
        Said(("a",), "'a' in the file: it must contain only ASCII characters", None),
    ]


def test_missing_key_comes_with_an_example_where_there_is_one() -> None:
    details = [{"type": "missing", "loc": (key,), "msg": ""} for key in ("a", "b")]
    assert list(describe(details, {}, "w", lambda _: {"a": ["read"], "b": None})) == [
        Said((), "w has no 'a'", 'add a = ["read"]'),
        Said((), "w has no 'b'", "add a line b = .."),
    ]


def test_paths_and_kinds_are_no_jargon() -> None:
    details = [{"type": "model_type", "loc": (), "msg": "", "ctx": {"class_name": "Params"}}]
    assert list(describe(details, str(Path("x")), "w", lambda _: {})) == [Said((), 'w must be a table, not "x"', None)]
