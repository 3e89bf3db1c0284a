"""Parameters: types and bounds hold, and every mistake is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from codex_core.errors import ConfigError
from codex_train.config import EvaluateParams, LmParams, read_params


def test_the_defaults_are_a_whole_set() -> None:
    assert read_params(LmParams, {}, "it") == LmParams()
    assert (LmParams().threads, EvaluateParams().limit) == (1, 2**18)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"steps": 0}, ["'steps' in it must be at least 1, not 0"]),
        ({"steps": "3"}, ["'steps' in it must be a whole number, not \"3\""]),
        ({"steps": 1.5}, ["'steps' in it must be a whole number, not 1.5"]),
        ({"learning_rate": 0}, ["'learning_rate' in it must be more than 0.0, not 0"]),
        ({"step": 3}, ["unknown key 'step' in it"]),
        (
            {"held_out": 1, "heads": 0},
            ["'heads' in it must be at least 1, not 0", "'held_out' in it must be at least 2, not 1"],
        ),
        ({"width": 10, "heads": 4}, ["it: width 10 is not a multiple of twice the 4 heads"]),
    ],
    ids=str,
)
def test_every_mistake_is_told(table: dict[str, Any], told: list[str]) -> None:  # Any: what a person writes
    with pytest.raises(ConfigError) as caught:
        read_params(LmParams, table, "it")
    assert [problem.message for problem in caught.value.problems] == told
