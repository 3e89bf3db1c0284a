"""Identities: every difference is named."""

from __future__ import annotations

from codex_train.identity import Identity, differences


def test_the_same_identity_has_no_differences() -> None:
    assert differences(Identity({"a": {"b": 1}}, {"c": 2}), Identity({"a": {"b": 1}}, {"c": 2})) == ()


def test_each_difference_is_named_with_both_sides() -> None:
    before = Identity({"seed": 7, "params": {"rate": 0.5, "steps": 3}}, {"threads": 1, "torch": "2.12.0"})
    after = Identity(
        {"seed": 7, "params": {"rate": 0.25, "width": 8}}, {"threads": 2, "MKL_CBWR": "AVX2", "torch": "2.12.0"}
    )
    assert differences(before, after) == (
        "params.rate: 0.5 -> 0.25",
        "params.steps: 3 -> unknown",
        "params.width: unknown -> 8",
        "MKL_CBWR: unknown -> AVX2",
        "threads: 1 -> 2",
    )
