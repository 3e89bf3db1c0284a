"""The validated pipeline, as the rest of this package sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_core.policy import Policy
    from codex_core.status import TargetConfig
    from codex_core.storage import StoreConfig


@dataclass(frozen=True)
class StageSpec:
    """A ``[stages.NAME]`` table. Paths are relative to the pipeline's folder, and stay inside it.

    Exactly one of ``uses`` and ``command`` is set. ``params`` are all parameters, the defaults of the stage's model
    among them, as JSON values; ``needs`` are the stages whose outputs this one reads.
    """

    name: str
    uses: str | None
    command: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[str, object]
    env: Mapping[str, str]
    on_refusal: Literal["fail", "record"]
    needs: tuple[str, ...] = ()

    @property
    def work(self) -> str:
        """What the stage runs, in one line."""
        return f"uses {self.uses}" if self.uses else f"command {self.command}"


@dataclass(frozen=True)
class Pipeline:
    """A pipeline file without a mistake; ``stages`` are in the order in which they run."""

    file: Path
    root: Path
    name: str
    seed: int
    policy: Policy
    stores: Mapping[str, StoreConfig]
    targets: Mapping[str, TargetConfig]
    stages: Mapping[str, StageSpec]
