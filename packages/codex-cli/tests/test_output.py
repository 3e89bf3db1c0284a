"""What the streams promise: places first, rules ready to paste, colour only where it is wanted."""

from __future__ import annotations

import sys

import pytest

from codex_cli.output import problem_text, wants_colour
from codex_core.errors import Problem

RULE = '[[policy.allow]]\nid = "a"'


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a", "bad"), "codex: bad"),
        (Problem("a", "bad", "mend it"), "codex: bad; mend it"),
        (Problem("a", "bad", "mend it", "codex.toml", 3, 4), "codex.toml:3:4: bad; mend it"),
        (Problem("a", "bad", None, "codex.toml"), "codex.toml: bad"),
        (Problem("a", "no", RULE), f"codex: no\nthis rule in codex.toml would allow it:\n\n{RULE}\n"),
        (Problem("a", "no", "ask\nthem"), "codex: no\nask\nthem"),
    ],
)
def test_problem_is_written_as_other_tools_write_theirs(problem: Problem, text: str) -> None:
    assert problem_text(problem, coloured=False) == text


def test_a_name_that_steers_a_terminal_is_shown_and_not_obeyed() -> None:
    problem = Problem("verify.unexpected", "b\x1b[2J is\nwrong", "see\x9b1m", file="a\x1b[1mb\u202e")
    shown = "a\\x1b[1mb\\u202e: b\\x1b[2J is\nwrong; see\\x9b1m"
    assert problem_text(problem, coloured=False) == shown


def test_colour_marks_the_lead_alone() -> None:
    assert problem_text(Problem("a", "bad"), coloured=True) == "\x1b[1;31mcodex:\x1b[0m bad"
    assert problem_text(Problem("a", "bad", None, "f", 1, 2), coloured=True) == "\x1b[1mf:1:2:\x1b[0m bad"


@pytest.mark.parametrize(
    ("terminal", "environ", "wanted"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": ""}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colour_is_for_terminals_whose_user_did_not_refuse_it(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, environ: dict[str, str], wanted: bool
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert wants_colour(environ) is wanted
