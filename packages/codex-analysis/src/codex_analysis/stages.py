"""Stages: ``analysis.audit``, which audits its inputs and writes ``audit.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from codex_core.digest import canonical_json
from codex_core.errors import StageFailed
from codex_core.shape import Shape

if TYPE_CHECKING:
    from codex_analysis.config import AuditParams
    from codex_core.stage import StageContext


class AuditStage:
    """Inputs: folders or Python files. Output: one file, the audit as canonical JSON and a newline."""

    contract: ClassVar[int] = 1
    shape: ClassVar[Shape] = Shape(("src",), ("audit.json",), more=True)

    def params(self) -> type:
        """The model of the ``with`` table."""
        from codex_analysis.config import AuditParams

        return AuditParams

    def __call__(self, ctx: StageContext, params: AuditParams) -> None:
        """Write the audit, then fail if it has unsettled findings of the kinds in ``params.fail_on``."""
        from codex_analysis.audit import audit_paths
        from codex_analysis.audit.files import common_root
        from codex_analysis.audit.findings import SCHEMA
        from codex_analysis.audit.report import count_kinds, list_findings, prefix_of, write_report

        ctx.check(self.shape)
        audit = audit_paths(ctx.inputs, exclude=params.exclude)
        ctx.outputs[0].write_bytes(canonical_json({"schema": SCHEMA, **audit.to_json()}) + b"\n")
        prefix = prefix_of(common_root(ctx.inputs), ctx.folder)
        print(write_report(audit, prefix=prefix), end="")
        failing = audit.unsettled(params.fail_on)
        if failing:
            print("\nthe stage fails on these:", *list_findings(failing, prefix=prefix), sep="\n")
            hint = "finish them, or take their kinds out of fail_on"
            raise StageFailed(f"the audit found {count_kinds(failing)} to fail on", hint=hint)


audit = AuditStage()
