from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_analysis.audit import audit_paths
from codex_analysis.command_list import COMMANDS
from codex_analysis.commands import app
from codex_core.command import Reply
from codex_core.errors import UsageError

SOURCE = "from typing import Protocol\nclass P(Protocol):\n    def a(self): ...\n"


def answer(*words: str) -> Reply:
    reply = app(["analyze", "audit", *words], standalone_mode=False)
    assert isinstance(reply, Reply)
    return reply


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text(SOURCE + "def f(): pass  # TODO\n")
    (tmp_path / "src/p.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_answer_has_the_audit_as_its_body_and_a_report_as_its_text(tree: Path) -> None:
    reply = answer("src", "--json")
    assert (reply.exit, reply.errors) == (0, ())
    assert reply.body == audit_paths([tree / "src"]).to_json()
    assert json.loads(json.dumps(reply.body))["counts"]["marker"] == 1
    assert reply.text.startswith("src/a.py\n       3  empty-body       contract  P.a")
    assert "4 findings in 2 Python files, 7 lines\n" in reply.text


def test_paths_in_the_text_are_as_typed_from_here(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(".").text.startswith("src/a.py\n")
    assert answer("src/a.py", "src/p.py").text.startswith("src/a.py\n")
    (tree / "elsewhere").mkdir()
    monkeypatch.chdir(tree / "elsewhere")
    assert answer("../src").text.startswith(f"{tree}/src/a.py\n")


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("src", "--fail-on", "empty-body"), 1),
        (("src", "--fail-on", "marker,not-implemented"), 1),
        (("src", "--fail-on", "not-implemented", "--fail-on", "marker"), 1),
        (("src", "--fail-on", "not-implemented,unreadable"), 0),
        (("src/p.py", "--fail-on", "marker,not-implemented,empty-body,unreadable"), 0),
        (("src", "--fail-on", "empty-body", "--exclude", "a.py"), 0),
    ],
)
def test_it_ends_with_1_only_for_unsettled_findings_of_the_kinds_named(
    tree: Path, words: tuple[str, ...], exit_code: int
) -> None:
    reply = answer(*words)
    assert (reply.exit, len(reply.errors)) == (exit_code, exit_code)


def test_a_failing_audit_says_what_it_failed_on(tree: Path) -> None:
    [problem] = answer("src", "--fail-on", "marker, empty-body").errors
    assert (problem.code, problem.message) == ("audit.unfinished", "the audit found 1 marker, 1 empty-body to fail on")
    assert problem.hint


def test_a_missing_path_and_an_unknown_kind_are_usage_errors_with_hints(tree: Path) -> None:
    with pytest.raises(UsageError, match="'nowhere' does not exist") as missing:
        answer("src", "nowhere")
    with pytest.raises(UsageError, match="takes no kind 'todo'") as unknown:
        answer("src", "--fail-on", "todo,marker,")
    assert len(unknown.value.problems) == 2
    for caught in (missing, unknown):
        assert caught.value.exit_code == 2
        assert all(problem.hint for problem in caught.value.problems)


def test_the_command_list_names_what_the_app_answers() -> None:
    [leaf] = COMMANDS.leaves
    assert (leaf.name, leaf.app) == ("analyze audit", "codex_analysis.commands:app")
