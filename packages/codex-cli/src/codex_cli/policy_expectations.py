"""``codex policy test FILE``: the decisions that a site expects of its policy, asked one by one.

[[expect]]
verdict = "allow"                              # or "refuse"
url = "https://models.example:443/llm/config.json"
verb = "read"                                  # absent: read
stage = "corpus"                               # absent: cli
rule = "models"                                # absent: whichever rule decides
on = 2027-01-31                                # absent: today
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from codex_cli.config import Expectation, ExpectationsFile
from codex_core.config import check_table, raise_problems
from codex_core.policy import Request, decide
from codex_core.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from codex_core.errors import Problem
    from codex_core.policy import Decision, Policy
    from codex_core.toml import TomlSource

CODE = "policy.unexpected"


@dataclass(frozen=True)
class Tried:
    """One expectation, and what the policy said; ``problem`` is there if it is not what was expected."""

    expected: str
    decision: Decision
    problem: Problem | None

    def to_json(self) -> dict[str, object]:
        """The object that ``tests`` of ``policy test`` holds."""
        return {"expected": self.expected, "passed": self.problem is None, "decision": self.decision.to_json()}


def try_expectations(file: Path, policy: Policy, *, now: datetime) -> list[Tried]:
    """Ask ``policy`` what ``file`` expects of it, as of ``now``; ConfigError with every mistake of the file."""
    source = read_toml(file)
    if not source.data:
        raise_problems(
            [source.problem((), "it expects nothing", "write [[expect]] tables, each with a verdict and a url")]
        )
    _, problems = check_table(ExpectationsFile, source.data, source, (), "the file")
    expectations = []
    found = source.data.get("expect")
    for index, table in enumerate(found if isinstance(found, list) else ()):
        at = ("expect", index)
        checked, mistakes = check_table(Expectation, table, source, at, f"expectation {index + 1}")
        problems += mistakes
        if checked:
            expectations.append((index, checked))
    raise_problems(problems)
    return [_try(one, index, source, policy, now) for index, one in expectations]


def _try(one: Expectation, index: int, source: TomlSource, policy: Policy, now: datetime) -> Tried:
    at = now if one.on is None else datetime.combine(one.on, time(12), UTC)
    decision = decide(policy, Request(one.verb, one.url, one.stage), now=at)
    expected = one.verdict if one.rule is None else f"{one.verdict} by rule {one.rule!r}"
    if decision.verdict == one.verdict and one.rule in {None, decision.rule}:
        return Tried(expected, decision, None)
    message = f"{one.verb} of {one.url} for {one.stage!r} should be {expected}; {decision.reason}"
    return Tried(expected, decision, source.problem(("expect", index), message, code=CODE))


def describe_tried(tried: Sequence[Tried]) -> str:
    """How many are as expected."""
    passed = sum(one.problem is None for one in tried)
    return f"{passed} of {len(tried)} decisions are as expected"
