"""The plan of a run's loop: how many examples there are, how many make a batch, and after how many steps it ends."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from codex_core.errors import ConfigError
from codex_train.order import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from codex_train.order import Position


@dataclass(frozen=True)
class Plan:
    """``epochs`` or ``steps`` may be None, not both; where both are given, the loop ends with the first."""

    examples: int
    batch_size: int
    epochs: int | None
    steps: int | None

    def check(self) -> None:
        """ConfigError if no such loop can be."""
        if self.batch_size < 1:
            raise ConfigError(f"a batch of {self.batch_size} examples is none", hint="give a batch_size of 1 or more")
        if self.examples < 1:
            raise ConfigError("there is no data: it has 0 examples", hint="give data with at least one batch")
        if self.batch_size > self.examples:
            raise ConfigError(
                f"a batch of {self.batch_size} examples is larger than the data, which has {self.examples}",
                hint=f"give a batch_size of at most {self.examples}, or more data",
            )
        ends = [end for end in (self.epochs, self.steps) if end is not None]
        if not ends or min(ends) < 1:
            told = f"epochs={self.epochs} and steps={self.steps}"
            raise ConfigError(f"a loop with {told} has no end, or no beginning", hint="give one of them, 1 or more")

    def to_json(self) -> dict[str, int]:
        """What decides which examples a step sees; the loop's end does not."""
        return {"examples": self.examples, "batch_size": self.batch_size}

    def total(self, position: Position) -> int:
        """How many steps there will have been in all, for a loop that goes on from ``position``."""
        totals = [self.steps] if self.steps is not None else []
        if self.epochs is not None:
            here = -(-max(0, self.examples - position.offset) // self.batch_size)
            later = -(-self.examples // self.batch_size) * (self.epochs - position.epoch - 1)
            totals.append(position.step + max(0, here + later))
        return min(totals)

    def walk(self, seed: int, position: Position) -> Iterator[tuple[Position, NDArray[Any]]]:
        """Every batch from ``position`` to the end: the position after it, and its examples (64-bit integers)."""
        left = max(0, self.total(position) - position.step)
        return islice(walk(seed, self.examples, self.batch_size, position), left)
