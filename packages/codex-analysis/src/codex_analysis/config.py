"""Configuration: the ``with`` tables of this package's stages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from codex_analysis.audit.findings import Kind


class AuditParams(BaseModel):
    """The ``with`` table of ``analysis.audit``.

    ``fail_on`` are kinds of findings with which the stage fails if something is left to do; ``exclude`` are patterns of
    paths, relative to the audited root, that are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fail_on: tuple[Kind, ...] = ()
    exclude: tuple[str, ...] = ()
