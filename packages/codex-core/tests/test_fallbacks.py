"""Promises of codex_core.fallbacks: a name that leads nowhere, or back, is said once."""

from __future__ import annotations

from codex_core.fallbacks import check_fallbacks
from codex_core.toml import parse_toml


def test_circle_of_fallbacks_is_said_once() -> None:
    text = "".join(
        f"[stores.{name}]\nurl = 'file:x'\nfallbacks = {others}\n"
        for name, others in {"a": ["b", "c"], "b": ["c"], "c": ["d"], "d": ["b"], "e": ["a"]}.items()
    )
    source = parse_toml(text, "f")
    problems = check_fallbacks(source.data["stores"], source, "stores")
    assert [str(problem) for problem in problems] == [
        "f:6:1: stores fall back in a circle: b -> c -> d -> b; remove one of these fallbacks"
    ]


def test_mistakes_of_targets_are_called_targets() -> None:
    source = parse_toml("[targets.a]\nfallbacks = ['b', 'a', 'b', 3]\n[targets.b]\nfallbacks = 3\n", "f")
    assert [str(problem) for problem in check_fallbacks(source.data["targets"], source, "targets")] == [
        "f:2:19: target 'a' falls back on itself; remove it",
        "f:2:24: target 'a' falls back on 'b' twice; remove it",
    ]
