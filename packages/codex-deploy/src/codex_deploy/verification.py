"""Verification: what a path holds, its digest, and all that is wrong with it; no network, and every byte once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codex_core.checkpoint import MANIFEST, check_folder, manifest_bytes, read_manifest
from codex_core.digest import canonical_json, digest_bytes, open_regular
from codex_core.errors import CodexError, UsageError
from codex_deploy.blocks import read_block
from codex_deploy.bundle import STATUS_FILE, is_deployment, is_layout
from codex_deploy.flaws import Flaw, Flaws, require_none
from codex_deploy.layout import LARGEST_DOCUMENT, read_json
from codex_deploy.layout_check import LayoutReport, check_layout

if TYPE_CHECKING:
    from pathlib import Path

    from codex_core.status import StatusBlock

Kind = Literal["layout", "deployment", "run", "checkpoint"]

RUN_FILE, RUN_SCHEMA, CHECKPOINTS, MODEL = "run.json", "codex.run/1", "checkpoints", "model"
SET_ASIDE = "damaged-"


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
        return _verify_run(path)
    if (path / MANIFEST).exists() and path.is_dir():
        digest, flaws = _check_checkpoint(path, "")
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


def _verify_run(path: Path) -> Verification:
    """Check run.json, the checkpoints and the model; logs and events are nobody's to vouch for, and not looked at.

    Nor are checkpoints that the run itself has found damaged, and set aside under a name by which it reads none.
    """
    flaws = Flaws()
    with flaws.about(RUN_FILE), open_regular(path / RUN_FILE) as stream:
        content = stream.read(LARGEST_DOCUMENT)
        data = read_json(content)
        if not isinstance(data, dict) or data.get("schema") != RUN_SCHEMA or content != canonical_json(data) + b"\n":
            flaws.add(RUN_FILE, "verify.mismatch", f"it is no {RUN_SCHEMA} in canonical form")
    names = [name for name in _listed(path / CHECKPOINTS) if not name.startswith((".", SET_ASIDE))]
    for name in (*(f"{CHECKPOINTS}/{name}" for name in names), MODEL):
        if name != MODEL or (path / MODEL).exists():
            flaws.found += _check_checkpoint(path / name, f"{name}/")[1].found
    return Verification("run", None, tuple(flaws.found))


def _listed(folder: Path) -> list[str]:
    return sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []


def _check_checkpoint(folder: Path, prefix: str) -> tuple[str | None, Flaws]:
    """The digest of the manifest of a checkpoint, and what is wrong with the folder, each path after ``prefix``."""
    flaws = Flaws()
    try:
        manifest = read_manifest(folder)
    except CodexError as error:
        flaws.add(f"{prefix}{MANIFEST}", error.code, error.message)
        return None, flaws
    with flaws.about(prefix.rstrip("/") or "."):
        for path, problem in check_folder(folder, manifest):
            flaws.add(prefix + path, problem.code, problem.message)
    return digest_bytes(manifest_bytes(manifest)), flaws
