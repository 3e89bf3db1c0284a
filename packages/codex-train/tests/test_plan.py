"""Plans of a loop: which can be, and how many steps they take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_core.errors import ConfigError
from codex_train.order import Position
from codex_train.plan import Plan


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(0, 1, 1, None), "there is no data: it has 0 examples"),
        (Plan(10, 11, 1, None), "a batch of 11 examples is larger than the data, which has 10"),
        (Plan(10, 0, 1, None), "a batch of 0 examples is none"),
        (Plan(10, 1, None, None), "a loop with epochs=None and steps=None has no end, or no beginning"),
        (Plan(10, 1, 0, None), "a loop with epochs=0 and steps=None has no end, or no beginning"),
        (Plan(10, 1, 1, 0), "a loop with epochs=1 and steps=0 has no end, or no beginning"),
    ],
)
def test_a_loop_that_cannot_be_is_refused(plan: Plan, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan.check()
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("plan", "total"),
    [
        (Plan(10, 4, 2, None), 6),
        (Plan(10, 5, 3, None), 6),
        (Plan(10, 4, None, 100), 100),
        (Plan(10, 4, 2, 5), 5),
        (Plan(10, 4, 2, 7), 6),
    ],
)
def test_the_loop_ends_with_its_epochs_or_its_steps(plan: Plan, total: int) -> None:
    plan.check()
    assert plan.total(Position()) == total
    assert [after.step for after, _ in plan.walk(0, Position())] == list(range(1, total + 1))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 4), st.data())
def test_the_total_is_the_same_from_every_position_on_the_way(
    count: int, size: int, epochs: int, data: st.DataObject
) -> None:
    plan = Plan(count, min(size, count), epochs, None)
    way = [Position(), *(after for after, _ in plan.walk(0, Position()))]
    position = data.draw(st.sampled_from(way))
    assert plan.total(position) == len(way) - 1
    assert len(list(plan.walk(0, position))) == len(way) - 1 - position.step


def test_a_loop_that_is_over_gives_nothing() -> None:
    assert list(Plan(10, 5, 1, None).walk(0, Position(4, 1, 10))) == []
    assert list(Plan(10, 5, None, 3).walk(0, Position(4, 1, 10))) == []
