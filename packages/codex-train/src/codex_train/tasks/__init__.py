"""Tasks: what this package trains. They are listed without torch, which each imports on its first call."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_core.task import Predictor
    from codex_train.config import LmParams
    from codex_train.run import Run


class LmTask:
    """A byte-level language model of a folder's files: codex_train.tasks.lm."""

    contract: ClassVar[int] = 1

    def params(self) -> type[LmParams]:
        """Steps, batch, shape, learning rate, and how the run is kept."""
        from codex_train.config import LmParams

        return LmParams

    def train(self, run: Run, params: LmParams) -> None:
        """Train, and leave the model folder of ``run``."""
        from codex_train.tasks.lm import train

        train(run, params)

    def evaluate(self, model: Path, data: Path, *, limit: int | None = None) -> Mapping[str, float]:
        """Bits per byte on at most ``limit`` bytes of the held-out files, beside those of zlib and lzma."""
        from codex_train.tasks.lm import evaluate

        return evaluate(model, data, limit)

    def load(self, model: Path) -> Predictor:
        """Bytes to the logits of the byte after each."""
        from codex_train.tasks.lm import LmPredictor, load_model

        network, config = load_model(model)
        return LmPredictor(network, config.context)


language_model = LmTask()
