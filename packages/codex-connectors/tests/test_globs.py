"""Globs over keys."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_connectors.globs import compile_globs
from codex_core.errors import ConfigError

KEYS = ["a.py", "a.txt", "d/a.py", "d/e/a.py", "d/e/b.txt", "dd/a.py", "d/.x", "a[1].py"]

segments = st.text(st.characters(exclude_characters="/*?\0", codec="utf-8"), min_size=1, max_size=5).filter(
    lambda part: part not in {".", ".."}
)
keys = st.lists(segments, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("**", KEYS),
        ("*", ["a.py", "a.txt", "a[1].py"]),
        ("*.py", ["a.py", "a[1].py"]),
        ("**/*.py", ["a.py", "d/a.py", "d/e/a.py", "dd/a.py", "a[1].py"]),
        ("d/**", ["d/a.py", "d/e/a.py", "d/e/b.txt", "d/.x"]),
        ("d/*", ["d/a.py", "d/.x"]),
        ("d/**/a.py", ["d/a.py", "d/e/a.py"]),
        ("?.py", ["a.py"]),
        ("d?/*", ["dd/a.py"]),
        ("a[1].py", ["a[1].py"]),
        ("d", []),
        ("A.PY", []),
    ],
)
def test_a_star_stays_within_a_segment_and_two_do_not(pattern: str, matched: list[str]) -> None:
    matches = compile_globs([pattern])
    assert [key for key in KEYS if matches(key)] == matched


def test_one_of_several_patterns_is_enough() -> None:
    matches = compile_globs(["*.txt", "d/e/**"])
    assert [key for key in KEYS if matches(key)] == ["a.txt", "d/e/a.py", "d/e/b.txt"]


@pytest.mark.parametrize("pattern", ["", "/a", "a/", "a//b", "./a", "a/../b", "a**", "**b/c", "***"])
def test_a_pattern_that_could_match_no_key_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_globs([pattern])
    assert caught.value.hint


def test_no_pattern_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="no pattern"):
        compile_globs([])


@settings(deadline=None)
@given(keys)
def test_a_key_without_stars_matches_itself_and_everything_matches_two_stars(key: str) -> None:
    assert compile_globs([key])(key)
    assert compile_globs(["**"])(key)
    assert compile_globs([f"**/{key}"])(key)
    assert compile_globs([f"{key}/**"])(f"{key}/x")
    assert not compile_globs([f"{key}/**"])(key)


@settings(deadline=None)
@given(keys, keys)
def test_a_star_matches_just_the_keys_of_one_segment(one: str, other: str) -> None:
    assert compile_globs(["*"])(one) == ("/" not in one)
    assert compile_globs([one])(other) == (one == other)
