from __future__ import annotations

import threading
from dataclasses import dataclass

from codex_core.lazy import lazy


@dataclass(frozen=True)
class Square:
    """Notes each time that its area is computed."""

    side: int
    computed: list[int]

    @lazy
    def area(self) -> int:
        """The area."""
        self.computed.append(self.side)
        return self.side * self.side


def test_a_value_is_computed_once_and_only_when_asked_for() -> None:
    square = Square(3, [])
    assert square.computed == []
    assert (square.area, square.area) == (9, 9)
    assert square.computed == [3]


def test_the_class_shows_the_property_and_its_documentation() -> None:
    assert isinstance(Square.area, lazy)
    assert Square.area.__doc__ == "The area."


def test_a_thread_that_never_comes_back_from_computing_keeps_nobody_waiting() -> None:
    inside, leave = threading.Event(), threading.Event()

    class Stuck:
        @lazy
        def value(self) -> int:
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                leave.wait()
            return 7

    stuck, other = Stuck(), Stuck()
    thread = threading.Thread(target=lambda: stuck.value)
    thread.start()
    try:
        assert inside.wait(60)
        assert (stuck.value, other.value) == (7, 7)
    finally:
        leave.set()
        thread.join()
