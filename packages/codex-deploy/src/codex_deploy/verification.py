"""Verification: what a path holds, its digest, and all that is wrong with it; no network, and every byte once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codex_core.checkpoint import MANIFEST, manifest_bytes
from codex_core.digest import digest_bytes, open_regular
from codex_core.errors import UsageError
from codex_deploy.blocks import read_block
from codex_deploy.bundle import STATUS_FILE, is_deployment, is_layout
from codex_deploy.flaws import Flaw, Flaws, require_none
from codex_deploy.layout import LARGEST_DOCUMENT
from codex_deploy.layout_check import LayoutReport, check_layout
from codex_deploy.run_check import RUN_FILE, check_checkpoint, check_run

if TYPE_CHECKING:
    from pathlib import Path

    from codex_core.status import StatusBlock

Kind = Literal["layout", "deployment", "run", "checkpoint"]


@dataclass(frozen=True)
class Verification:
    """What was verified. ``digest`` is the bundle's, or a checkpoint's manifest's; None where none can be told."""

    kind: Kind
    digest: str | None
    problems: tuple[Flaw, ...]


def verify(path: Path) -> Verification:
    """Verify a bundle, a ``dir`` deployment, a run folder or a checkpoint folder, which a model folder is as well.

    UsageError if there is nothing at ``path``, or nothing of these kinds. What is wrong is told and never raised.
    """
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="name a bundle, a deployment, a run or a checkpoint folder")
    if (found := check_bundle(path)) is not None:
        kind, report = found
        return Verification(kind, report.digest, report.flaws)
    if (path / RUN_FILE).exists() and path.is_dir():
        return Verification("run", None, tuple(check_run(path).found))
    if (path / MANIFEST).exists() and path.is_dir():
        flaws = Flaws()
        manifest = check_checkpoint(path, flaws)
        digest = None if manifest is None else digest_bytes(manifest_bytes(manifest))
        return Verification("checkpoint", digest, tuple(flaws.found))
    hint = f"a bundle has oci-layout, a deployment {STATUS_FILE}, a run {RUN_FILE}, a checkpoint {MANIFEST}"
    raise UsageError(f"{path} is of no kind that can be verified", hint=hint)


def check_bundle(path: Path) -> tuple[Kind, LayoutReport] | None:
    """Check all of a bundle or of a ``dir`` deployment; None if ``path`` is neither."""
    if is_deployment(path):
        return "deployment", check_deployment(path)
    return ("layout", check_layout(path)) if is_layout(path) else None


def require_verified(path: Path) -> Verification:
    """``verify``; VerificationError, with all that is wrong, if anything is."""
    verification = verify(path)
    require_none(verification.problems, path)
    return verification


def check_deployment(folder: Path) -> LayoutReport:
    """Check a layout and the status.json beside it, which has to be about this very bundle."""
    report = check_layout(folder, extra=(STATUS_FILE,))
    flaws = Flaws()
    with flaws.about(STATUS_FILE):
        block = read_status(folder)
        if report.layout is not None and block.spec.bundle != report.layout.digest:
            flaws.add(
                STATUS_FILE, "verify.mismatch", f"it is about the bundle {block.spec.bundle}, which is not this one"
            )
    return LayoutReport(report.layout, (*report.flaws, *flaws.found), report.actual)


def read_status(folder: Path) -> StatusBlock:
    """The block in status.json of ``folder``; VerificationError if it does not hold."""
    with open_regular(folder / STATUS_FILE) as stream:
        return read_block(stream.read(LARGEST_DOCUMENT))
