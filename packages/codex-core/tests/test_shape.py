from __future__ import annotations

import pytest

from codex_core.shape import Shape

ONE, TWO = Shape(("data",), ("model",)), Shape(("model", "data"), ("out.json",))
MORE = Shape(("model",), ("b",), more=True)


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs"), [(ONE, 1, 1), (TWO, 2, 1), (MORE, 1, 1), (MORE, 3, 1), (Shape((), ("x",)), 0, 1)]
)
def test_what_a_stage_takes_and_makes_is_no_mistake(shape: Shape, inputs: int, outputs: int) -> None:
    assert list(shape.mistakes("x" * inputs, "x" * outputs)) == []


@pytest.mark.parametrize(
    ("shape", "inputs", "outputs", "told"),
    [
        (ONE, 0, 1, [("inputs", "has 0 inputs, and takes data", 'write inputs = ["data"]')]),
        (ONE, 2, 1, [("inputs", "has 2 inputs, and takes data", 'write inputs = ["data"]')]),
        (TWO, 1, 1, [("inputs", "has 1 input, and takes model and data", 'write inputs = ["model", "data"]')]),
        (MORE, 0, 1, [("inputs", "has 0 inputs, and takes model and more", 'write inputs = ["model"]')]),
        (Shape((), ("x",)), 1, 1, [("inputs", "has 1 input, and takes none", "write inputs = []")]),
        (ONE, 1, 2, [("outputs", "has 2 outputs, and makes model", 'write outputs = ["model"]')]),
    ],
)
def test_too_few_or_too_many_are_told(
    shape: Shape, inputs: int, outputs: int, told: list[tuple[str, str, str]]
) -> None:
    assert list(shape.mistakes("x" * inputs, "x" * outputs)) == told


def test_both_are_told_at_once() -> None:
    assert [key for key, _, _ in ONE.mistakes("", "")] == ["inputs", "outputs"]
