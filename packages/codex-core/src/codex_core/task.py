"""Tasks: what is trained, and the predictor that a deployment serves without knowing how it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@runtime_checkable
class Predictor(Protocol):
    """A loaded model: named arrays in, named arrays out."""

    def __call__(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:  # Any: arrays of a library core does not import
        """The model's outputs for one batch; the first axis of every array is the batch."""
        ...


@runtime_checkable
class Task(Protocol):
    """A model, its data and its loss. ``contract`` is the version of this protocol it was written for."""

    contract: ClassVar[int]

    def params(self) -> type:
        """The pydantic model of what can be set, imported on call; it forbids unknown keys."""
        ...

    def train(self, run: Any, params: Any) -> None:  # Any: codex-train's Run and the task's own model
        """Train until ``params`` is satisfied, logging to and saving by ``run``."""
        ...

    def evaluate(self, model: Path, data: Path, *, limit: int | None = None) -> Mapping[str, float]:
        """Figures of the model folder ``model`` on what of ``data`` is held out, by name; the same ones each time.

        ``limit`` is how much of it is judged at most: examples, or what the task counts instead.
        """
        ...

    def load(self, model: Path) -> Predictor:
        """The model folder ``model``, ready to predict."""
        ...
