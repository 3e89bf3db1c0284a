"""The shape of a stage: which inputs it takes and which outputs it makes, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Shape:
    """What each input and output is, as an example of its name; with ``more``, further inputs may follow."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    more: bool = False

    def mistakes(self, inputs: Sequence[object], outputs: Sequence[object]) -> Iterator[tuple[str, str, str]]:
        """What is wrong with so many of each: the key in the stage's table, what to say of the stage, and a hint."""
        if len(inputs) < len(self.inputs) or (len(inputs) > len(self.inputs) and not self.more):
            yield _mistake("input", len(inputs), self.inputs, "takes", more=self.more)
        if len(outputs) != len(self.outputs):
            yield _mistake("output", len(outputs), self.outputs, "makes", more=False)


def _mistake(kind: str, found: int, wanted: tuple[str, ...], verb: str, *, more: bool) -> tuple[str, str, str]:
    count = f"{found} {kind}{'' if found == 1 else 's'}"
    told = f"{' and '.join(wanted)}{' and more' if more else ''}" or "none"
    names = ", ".join(f'"{name}"' for name in wanted)
    return f"{kind}s", f"has {count}, and {verb} {told}", f"write {kind}s = [{names}]"
