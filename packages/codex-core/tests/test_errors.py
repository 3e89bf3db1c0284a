from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from codex_core import errors
from codex_core.errors import CodexError, ConfigError, LedgerDamaged, PolicyRefused, Problem
from codex_core.policy import Decision

DECISION = Decision("refuse", None, "no rule allows it", "a rule to paste", "https://a.example:443/", "read", "s", "p")
CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CodexError)]


def _make(kind: type[CodexError]) -> CodexError:
    if kind is PolicyRefused:
        return PolicyRefused(DECISION)
    if kind is LedgerDamaged:
        return LedgerDamaged("what was asked", bad_line=3, hint="what to do")
    return kind("what was asked", hint="what to do")


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    parents, drawn = ["CodexError"], {}
    for line in str(errors.__doc__).splitlines():
        found = re.search(r"[├└]── (\w+) +([\w.]+) +(\d+)  (\w+)$", line)
        if found:
            del parents[found.start() // 4 :]
            drawn[found[1]] = (parents[-1], found[2], int(found[3]), found[4])
            parents.append(found[1])
    real = {
        kind.__name__: (kind.__bases__[0].__name__, kind.code, kind.exit_code, _builtin(kind).__name__)
        for kind in CLASSES
        if kind is not CodexError
    }
    assert drawn == real


def _builtin(kind: type) -> type:
    """The builtin error that a class names among its bases, or that its parent does."""
    return next(base for base in (*kind.__bases__[1:], *kind.__mro__) if base.__module__ == "builtins")


def test_every_code_is_used_once() -> None:
    codes = [kind.code for kind in CLASSES]
    assert sorted(set(codes)) == sorted(codes)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_says_what_was_asked_and_what_to_do_next(kind: type[CodexError]) -> None:
    error = _make(kind)
    assert str(error) == f"{error.message}; {error.hint}"
    assert error.problems == (Problem(kind.code, error.message, error.hint),)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_crosses_to_another_process_whole(kind: type[CodexError]) -> None:
    error = _make(kind)
    error.add_note("a note")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind
        assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))


def test_a_refusal_carries_its_decision_and_is_a_permission_error() -> None:
    with pytest.raises(PermissionError) as caught:
        raise PolicyRefused(DECISION)
    assert isinstance(caught.value, PolicyRefused)
    assert caught.value.decision == DECISION
    assert str(caught.value) == "no rule allows it; a rule to paste"


def test_an_error_with_several_problems_shows_each_on_its_line() -> None:
    problems = (
        Problem("config.key", "unknown key 'input' in stage 'train'", "did you mean 'inputs'?", "codex.toml", 12, 1),
        Problem("config.cycle", "a cycle", file="codex.toml"),
        Problem("config.empty", "no stage"),
    )
    error = ConfigError("codex.toml is not valid", problems=iter(problems))
    assert str(error) == (
        "codex.toml:12:1: unknown key 'input' in stage 'train'; did you mean 'inputs'?\ncodex.toml: a cycle\nno stage"
    )
    assert error.problems == problems


def test_a_problem_is_shown_as_the_object_of_the_errors_list() -> None:
    assert Problem("config.key", "unknown key", "a hint", "codex.toml", 12, 1).to_json() == {
        "code": "config.key",
        "message": "unknown key",
        "hint": "a hint",
        "file": "codex.toml",
        "line": 12,
        "column": 1,
    }
    assert Problem("x", "y").to_json() == {
        "code": "x",
        "message": "y",
        "hint": None,
        "file": None,
        "line": None,
        "column": None,
    }
