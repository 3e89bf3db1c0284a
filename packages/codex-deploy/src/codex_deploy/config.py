"""The border of this package: the ModelPack config, and the parameters of the stages.

The ModelPack models are the schema of ``application/vnd.cncf.model.config.v1+json`` as the CNCF model specification
gives it (github.com/modelpack/model-spec v0.0.7, schema/config-schema.json and docs/config.md, Apache-2.0): the same
members, closed at every level.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from codex_core.errors import VerificationError
from codex_core.wording import describe
from codex_deploy.layout import check_name, read_json

Modality = Literal["text", "image", "audio", "video", "embedding", "other"]
Language = Annotated[str, Field(pattern=r"^[a-z]{2}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackageParams(_Closed):
    """The ``with`` table of deploy.package: the bundle's name."""

    name: Annotated[str, AfterValidator(check_name)] = Field(examples=["my-model"])


class ApplyParams(_Closed):
    """The ``with`` table of deploy.apply: the target's name."""

    target: str = Field(min_length=1, examples=["local"])


class _Descriptor(_Closed):
    createdAt: AwareDatetime | None = None  # noqa: N815 - the specification's spelling
    authors: list[str] | None = None
    vendor: str | None = None
    family: str | None = None
    name: str | None = Field(None, min_length=1)
    version: str | None = None
    title: str | None = None
    description: str | None = None
    docURL: str | None = None  # noqa: N815 - likewise
    sourceURL: str | None = None  # noqa: N815 - likewise
    datasetsURL: list[str] | None = None  # noqa: N815 - likewise
    revision: str | None = None
    licenses: list[str] | None = None


class _Capabilities(_Closed):
    inputTypes: list[Modality] | None = None  # noqa: N815 - likewise
    outputTypes: list[Modality] | None = None  # noqa: N815 - likewise
    knowledgeCutoff: AwareDatetime | None = None  # noqa: N815 - likewise
    reasoning: bool | None = None
    toolUsage: bool | None = None  # noqa: N815 - likewise
    reward: bool | None = None
    languages: list[Language] | None = None


class _Technical(_Closed):
    architecture: str | None = None
    format: str | None = None
    paramSize: str | None = None  # noqa: N815 - likewise
    precision: str | None = None
    quantization: str | None = None
    capabilities: _Capabilities | None = None


class _ModelFs(_Closed):
    type: Literal["layers"]
    diffIds: list[str] = Field(min_length=1)  # noqa: N815 - likewise


class _ModelConfig(_Closed):
    descriptor: _Descriptor
    config: _Technical
    modelfs: _ModelFs


def check_model_config(content: bytes) -> None:
    """VerificationError, with every mistake, unless ``content`` is a config by the ModelPack schema."""
    data = read_json(content)
    try:
        _ModelConfig.model_validate_json(content, strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        if (member := _null_in(data)) is not None:
            raise VerificationError(f"it is no ModelPack config: {member!r} is null")
        return
    said = describe(details, data, "the ModelPack config", lambda path: {})
    raise VerificationError("; ".join(one.message for one in said))


def _null_in(data: object) -> str | None:
    """A member that is null: the schema lets a member be absent, and never null."""
    for name, value in data.items() if isinstance(data, dict) else ():
        if value is None:
            return str(name)
        if (found := _null_in(value)) is not None:
            return found
    return None
