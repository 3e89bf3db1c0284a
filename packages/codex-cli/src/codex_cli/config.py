"""The file of ``codex policy test``, as pydantic models."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from codex_core.errors import ConfigError
from codex_core.policy import CLI, Verb
from codex_core.wording import shown


class Expectation(BaseModel):
    """``[[expect]]``: what the policy should answer to one request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Literal["allow", "refuse"] = Field(examples=["allow"])
    url: str = Field(examples=["https://models.example:443/llm"])
    verb: Verb = "read"
    stage: str = CLI
    rule: str | None = None
    on: date | None = None


def _list(value: object) -> object:
    if not isinstance(value, list):
        raise ConfigError(f"expectations stand in a list, not in {shown(value)}", hint="write [[expect]]")
    return value


class ExpectationsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    expect: Annotated[list[Any], BeforeValidator(_list)] = Field(min_length=1)  # Any: each is checked by itself
