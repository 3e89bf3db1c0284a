"""What ``codex verify`` and each ``codex bundle`` command do: from their words to their Reply."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from codex_core.command import Reply
from codex_deploy.layout import TITLE
from codex_deploy.layout_check import no_bundle, read_layout
from codex_deploy.modelpack import FILE_PATH
from codex_deploy.package import create_bundle
from codex_deploy.stages import packing_environment
from codex_deploy.tables import shown, table
from codex_deploy.verification import check_bundle, verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from codex_core.stage import Attestation
    from codex_deploy.bundle import Layout
    from codex_deploy.flaws import Flaw
    from codex_deploy.layout import Descriptor


def verify_path(path: Path) -> Reply:
    """The kind and the digest of what is at ``path``, and every problem; exit 4 if there is one."""
    found = verify(path)
    body = {"kind": found.kind, "digest": found.digest, "problems": [flaw.to_json() for flaw in found.problems]}
    if found.problems:
        return _damaged(path, found.kind, found.problems, body)
    return Reply(body, f"{found.kind} {shown(str(path))}: verified{f', {found.digest}' if found.digest else ''}")


def create(model: Path, files: Sequence[Path], output: Path, name: str) -> Reply:
    """Pack a bundle; nothing was enforced while this command ran, and its attestation says so."""
    create_bundle(model, files, output, name=name, enforced=None, environment=packing_environment())
    return _show(read_layout(output))


def inspect(path: Path) -> Reply:
    """What a bundle or a deployment holds, once every byte of it is checked; 4, with every problem, if one is wrong."""
    found = check_bundle(path)
    if found is None:
        raise no_bundle(path)
    kind, report = found
    if report.flaws or report.layout is None:
        body = {"digest": report.digest, "problems": [flaw.to_json() for flaw in report.flaws]}
        return _damaged(path, kind, report.flaws, body)
    return _show(report.layout)


def _damaged(path: Path, kind: str, flaws: Sequence[Flaw], body: Mapping[str, object]) -> Reply:
    count = "1 problem" if len(flaws) == 1 else f"{len(flaws)} problems"
    return Reply(body, f"{kind} {shown(str(path))}: {count}", exit=4, errors=tuple(one.problem(path) for one in flaws))


def _show(layout: Layout) -> Reply:
    layers = [{"path": one.annotations[FILE_PATH], **_blob(one)} for one in layout.model.layers]
    body = {
        "path": str(layout.folder),
        "name": layout.statement.name,
        "digest": layout.digest,
        "config": _blob(layout.model.config),
        "layers": layers,
        "attestations": [_attestation(layout)],
    }
    rows = [(one.annotations[FILE_PATH], one.media_type, str(one.size), one.digest) for one in layout.model.layers]
    head = f"{layout.statement.name} {layout.digest}\nin {shown(str(layout.folder))}\n"
    return Reply(body, "\n".join([head, table(rows), "", *_told(layout)]))


def _attestation(layout: Layout) -> dict[str, object]:
    descriptor, checkpoint = layout.attestation.descriptor(), layout.checkpoint
    run = checkpoint and {
        "step": checkpoint.step,
        "made_from": dict(checkpoint.made_from),
        "environment": dict(checkpoint.environment),
    }
    layers = [{"title": one.annotations[TITLE], **_blob(one)} for one in layout.attestation.layers]
    return {"digest": descriptor.digest, **layout.statement.to_json(), "run": run, "layers": layers}


def _blob(descriptor: Descriptor) -> dict[str, object]:
    return {"media_type": descriptor.media_type, "size": descriptor.size, "digest": descriptor.digest}


def _told(layout: Layout) -> list[str]:
    """The attestation for a person."""
    statement, enforced = layout.statement, layout.statement.enforced
    rows = [("attestation", layout.attestation.descriptor().digest)]
    if enforced is None:
        rows.append(("packed", "by hand: nothing was enforced"))
    else:
        rows += [
            ("guard", enforced.guard),
            ("policy", enforced.policy),
            ("ledger", f"{enforced.ledger_entries} entries, {enforced.ledger_head or 'no head'}"),
        ]
    rows += [(f"stage {name}", _enforced(one)) for name, one in sorted(statement.stages.items())]
    rows += [(name, value) for name, value in sorted(statement.environment.items())]
    if layout.checkpoint is not None:
        rows.append(("steps", str(layout.checkpoint.step)))
        rows += [(f"made from {name}", _value(value)) for name, value in sorted(layout.checkpoint.made_from.items())]
        if (inexact := layout.checkpoint.environment.get("inexact")) is not None:
            rows.append(("inexact", str(inexact)))
    rows += [(one.annotations[TITLE], one.digest) for one in layout.attestation.layers]
    return [table(rows)]


def _enforced(one: Attestation) -> str:
    """What was enforced around a stage, in one line."""
    if one.interfaces is None:
        return f"guard level {one.guard}"
    tries = "no packet" if not one.attempts else f"{one.attempts} packets"
    routes = ", ".join(one.routes or ()) or "none"
    return f"guard level {one.guard}, interfaces {', '.join(one.interfaces)}, routes {routes}, {tries} without a route"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
