"""What an answer promises: one exit code, one JSON object, and a sentence for whatever went wrong."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from codex_cli.answers import outcome, show, wants_json
from codex_core.command import Reply
from codex_core.errors import ConfigError, GuardUnavailable, PolicyRefused, Problem, ShortRead
from codex_core.policy import Policy, Request, decide
from codex_core.storage import Fallback

FAULT_HINT = "Codex did not expect this, so it or a plug-in has a fault; CODEX_TRACEBACK=1 shows where"


def raising(error: BaseException) -> Callable[[], Reply]:
    def call() -> Reply:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code", "problems"),
    [
        (ConfigError("bad", hint="mend it"), 2, [Problem("config.invalid", "bad", "mend it")]),
        (GuardUnavailable("no kernel"), 78, [Problem("guard.unavailable", "no kernel")]),
        (ShortRead("cut"), 1, [Problem("store.short_read", "cut")]),
        (KeyboardInterrupt(), 130, [Problem("interrupted", "interrupted")]),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/y"),
            1,
            [Problem("os.eacces", "'/x/y': Permission denied", "name a place that you have the rights to")],
        ),
        (OSError(errno.EXDEV, "Cross", "/a", None, "/b"), 1, [Problem("os.exdev", "'/a' -> '/b': Cross")]),
        (OSError("only words"), 1, [Problem("os.error", "only words")]),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, [Problem("os.epipe", "Broken pipe")]),
        (KeyError("k"), 1, [Problem("codex.fault", "KeyError: 'k'", FAULT_HINT)]),
        (RuntimeError("two\nlines"), 1, [Problem("codex.fault", "RuntimeError: two lines", FAULT_HINT)]),
        (AssertionError(), 1, [Problem("codex.fault", "AssertionError", FAULT_HINT)]),
    ],
)
def test_whatever_is_raised_becomes_an_exit_code_and_problems(
    error: BaseException, code: int, problems: list[Problem]
) -> None:
    reply = outcome(raising(error), {})
    assert (reply.exit, list(reply.errors), reply.body) == (code, problems, {})


def test_refusal_shows_its_decision_and_fallbacks() -> None:
    decision = decide(Policy(), Request("read", "https://a.example:443/x", "cli"), now=datetime(2026, 1, 1, tzinfo=UTC))
    reply = outcome(raising(PolicyRefused(decision, fallbacks=(Fallback("mirror", True, "it is a folder"),))), {})
    assert reply.exit == 77
    assert reply.body == {
        "decision": decision.to_json(),
        "fallbacks": [{"store": "mirror", "usable": True, "reason": "it is a folder"}],
    }


def test_traceback_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    outcome(raising(KeyError("k")), {"CODEX_TRACEBACK": "0"})
    assert capsys.readouterr() == ("", "")
    outcome(raising(KeyError("k")), {"CODEX_TRACEBACK": "1"})
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0], err.splitlines()[-1]) == (
        "",
        "Traceback (most recent call last):",
        "KeyError: 'k'",
    )


def test_json_is_one_object_with_the_errors_which_stderr_has_too(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem("config.invalid", "unknown key 'input'", "did you mean 'inputs'?", "codex.toml", 12, 1)
    assert show("store ls", Reply({"objects": []}, "not shown", 2, (problem,)), {}, as_json=True) == 2
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out) == {"schema": "codex.store.ls/1", "exit": 2, "errors": [problem.to_json()], "objects": []}
    assert err == "codex.toml:12:1: unknown key 'input'; did you mean 'inputs'?\n"


def test_text_ends_with_one_newline(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("run", Reply({}, "done\n"), {}) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_empty_text_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert show("run", Reply({}), {}) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("body", [{"x": float("nan")}, {"x": object()}, {1j: 2}])
def test_body_that_is_no_json_is_a_fault_in_one_object(
    capsys: pytest.CaptureFixture[str], body: dict[str, object]
) -> None:
    assert show("run", Reply(body), {}, as_json=True) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["exit"]) == ("codex.run/1", 1)
    assert [error["code"] for error in answer["errors"]] == ["codex.fault"]


def test_json_is_plain_ascii_even_for_names_that_are_not_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    show("run", Reply({"path": "caf\udce9 \u00e9"}), {}, as_json=True)
    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out)["path"] == "caf\udce9 \u00e9"


def test_name_that_is_not_utf8_can_be_shown(capfd: pytest.CaptureFixture[str]) -> None:
    show("run", Reply({}, "caf\udce9"), {})
    assert capfd.readouterr().out == "caf\\udce9\n"


def test_json_counts_only_among_the_options() -> None:
    assert wants_json(["run", "--json"])
    assert not wants_json(["run", "--", "--json"])
    assert not wants_json(["run"])


def test_prints_of_children_go_to_stderr_while_stdout_is_kept() -> None:
    program = (
        "import os, subprocess, sys\n"
        "from codex_cli.answers import stdout_to_stderr\n"
        "print('before')\n"
        "with stdout_to_stderr():\n"
        "    print('a print')\n"
        "    subprocess.run([sys.executable, '-c', 'print(1)'], check=True)\n"
        "    os.write(1, b'a write\\n')\n"
        "print('the answer')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nthe answer\n"
    assert sorted(done.stderr.splitlines()) == ["1", "a print", "a write"]
