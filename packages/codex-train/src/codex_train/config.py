"""Parameters of this package's stages and tasks, as their ``with`` tables and ``-P KEY=VALUE`` hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from codex_core.errors import ConfigError, Problem
from codex_core.wording import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RunParams(_Params):
    """How any run is kept: its threads, the steps between checkpoints, and how many of these stay."""

    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    save_every: Count = 50
    keep: Count = 3


class LmParams(RunParams):
    """The task ``lm``; ``held_out = 20`` keeps one file of twenty from training."""

    steps: Count = 600
    batch_size: Count = 16
    context: Annotated[int, Field(ge=2, le=65536)] = 64
    layers: Annotated[int, Field(ge=1, le=256)] = 3
    width: Annotated[int, Field(ge=2, le=65536)] = 128
    heads: Annotated[int, Field(ge=1, le=1024)] = 4
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.004
    warm_up: Count = 20
    held_out: Annotated[int, Field(ge=2)] = 20

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % (2 * self.heads):
            message = f"width {self.width} is not a multiple of twice the {self.heads} heads"
            raise ConfigError(message, hint="a head's part of the width is turned in pairs")
        return self


class EvaluateParams(_Params):
    """The stage ``train.evaluate``: it judges by at most ``limit`` held-out bytes, or examples."""

    limit: Count = 2**18
    threads: Annotated[int, Field(ge=1, le=1024)] = 1


def read_params(model: type[BaseModel], table: Mapping[str, object], where: str) -> Any:  # Any: an instance of model
    """``table`` as ``model``; ConfigError with every mistake in it. ``where`` names the table for a person."""
    try:
        return model.model_validate_json(json.dumps(dict(table), default=str), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
    keys: dict[str, object] = dict.fromkeys(model.model_fields)
    said = [Problem(ConfigError.code, one.message, one.hint) for one in describe(details, table, where, lambda _: keys)]
    raise ConfigError(f"{where} cannot be used", problems=said)
