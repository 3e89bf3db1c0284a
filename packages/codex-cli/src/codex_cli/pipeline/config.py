"""The tables of a pipeline file that only pipelines have, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""What a process can be handed: anything but NUL."""


class PipelineTable(BaseModel):
    """``[pipeline]``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**32)


class StageTable(BaseModel):
    """``[stages.NAME]``; exactly one of ``uses`` and ``command`` is checked where a mistake can be placed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    uses: str | None = None
    command: Text | None = Field(default=None, min_length=1)
    inputs: list[str] = []
    outputs: list[str] = []
    with_: dict[str, Any] = Field(default={}, alias="with")  # Any: the stage's own model checks it
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Text] = {}
    on_refusal: Literal["fail", "record"] = "fail"
