from __future__ import annotations

import pytest

from codex_analysis.audit.patterns import matcher
from codex_core.errors import ConfigError

PATHS = ("tests", "tests/a.py", "a/tests", "a/b/tests", "a/tests/b.py", "x.py", "a/x.py", "a+b.py")


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("tests", {"tests"}),
        ("tests/", {"tests"}),
        ("tests/**", {"tests/a.py"}),
        ("**/tests", {"tests", "a/tests", "a/b/tests"}),
        ("a/**/tests", {"a/tests", "a/b/tests"}),
        ("*.py", {"x.py", "a+b.py"}),
        ("**/?.py", {"x.py", "a/x.py", "tests/a.py", "a/tests/b.py"}),
        ("**", set(PATHS)),
        ("a+b.py", {"a+b.py"}),
    ],
)
def test_a_pattern_names_these_paths_and_no_others(pattern: str, named: set[str]) -> None:
    is_named = matcher([pattern])
    assert {path for path in PATHS if is_named(path)} == named


def test_a_path_is_named_by_any_of_several_patterns_and_by_none_of_no_patterns() -> None:
    assert [matcher(patterns)("a") for patterns in (["b", "a"], ["b"], [])] == [True, False, False]


@pytest.mark.parametrize("pattern", ["", "/a", "a//b", "../a", "./a", "a**", "**.py"])
def test_a_pattern_that_names_nothing_is_refused_with_a_hint(pattern: str) -> None:
    with pytest.raises(ConfigError, match="the pattern") as caught:
        matcher([pattern])
    assert caught.value.hint
