"""The parameters of the stage ``connectors.pull``, as its ``with`` table holds them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from codex_connectors.globs import compile_globs
from codex_core.storage import parse_place


def _place(text: str) -> str:
    return str(parse_place(text))


def _globs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    compile_globs(patterns)
    return patterns


class PullParams(BaseModel):
    """What to pull: ``from`` a place in a store, the objects that ``include`` matches, or else from a fallback."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Annotated[str, AfterValidator(_place)] = Field(alias="from", examples=["store://NAME/KEY"])
    include: Annotated[tuple[str, ...], AfterValidator(_globs)] = ("**",)
    fallback: bool = False
