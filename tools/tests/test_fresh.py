"""The check of the second run can fail."""

import json

import pytest

from tools.ci.fresh import verdict


def answer(*states: str, code: int = 0) -> str:
    stages = [{"name": f"stage{number}", "state": state, "why": ["an input"]} for number, state in enumerate(states)]
    return json.dumps({"schema": "codex.run/1", "exit": code, "errors": [], "stages": stages})


def test_fresh_stages_pass() -> None:
    assert verdict(answer("fresh", "fresh")) == (True, "all 2 stages are fresh: stage0, stage1")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (answer("fresh", "ran"), "not fresh: stage1 ran (an input)"),
        (answer(), "not fresh: no stage at all"),
        (answer("fresh", code=1), "codex run ended with 1: []"),
        ("", "no JSON object from codex run: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_anything_else_fails(text: str, line: str) -> None:
    assert verdict(text) == (False, line)
