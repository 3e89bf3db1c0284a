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
from codex_core.errors import UrlError
from codex_core.policy import OWN_STAGES, Request, decide, is_misspelt
from codex_core.toml import read_toml
from codex_core.urls import parse_url
from codex_core.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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


def try_expectations(file: Path, policy: Policy, *, stages: Sequence[str], now: datetime) -> list[Tried]:
    """Ask ``policy`` what ``file`` expects of it, as of ``now``; ConfigError with every mistake of the file.

    ``stages`` are those of the pipeline file. What no request could be, and a name that is not there, is a mistake:
    that it is refused would prove nothing.
    """
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
            problems += _names_not_there(checked, index, source, policy, stages)
    raise_problems(problems)
    return [_try(one, index, source, policy, now) for index, one in expectations]


def _names_not_there(
    one: Expectation, index: int, source: TomlSource, policy: Policy, stages: Sequence[str]
) -> Iterator[Problem]:
    at = ("expect", index)
    try:
        parse_url(one.url)
    except UrlError as error:
        yield source.problem((*at, "url"), error.message, error.hint)
    if is_misspelt(one.stage, stages):
        hint = nearest(one.stage, [*stages, *OWN_STAGES])
        yield source.problem((*at, "stage"), f"there is no stage {one.stage!r}", hint)
    if one.rule is not None and one.rule not in policy.ids:
        yield source.problem((*at, "rule"), f"there is no rule {one.rule!r}", nearest(one.rule, policy.ids))


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
