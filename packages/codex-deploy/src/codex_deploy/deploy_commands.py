"""What each ``codex deploy`` command does: from its words to its Reply."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from codex_core.command import Reply
from codex_core.errors import DeploymentFailed
from codex_core.ledger import Ledger
from codex_core.project import Project, nearest_project
from codex_core.status import StatusBlock, TargetContext
from codex_deploy.layout_check import open_bundle
from codex_deploy.outcome import failure_of
from codex_deploy.stages import machine_facts
from codex_deploy.tables import table
from codex_deploy.targets import open_target
from codex_deploy.verification import require_verified

if TYPE_CHECKING:
    from codex_core.policy import Decision
    from codex_core.status import Target

STAGE = "cli"


def plan(path: Path, target_name: str) -> Reply:
    """What applying a bundle, which has to verify, would do to the target."""
    target = _Session.here().open(target_name)
    require_verified(path)
    made = target.plan(open_bundle(path), target.observe())
    block = StatusBlock(made.spec, made.steps, ())
    rows = [(step.op, step.resource, f"{_short(step.before)} -> {_short(step.after)}", step.why) for step in made.steps]
    head = f"{made.bundle.name} {made.bundle.digest} -> {target_name} ({made.spec.kind} {made.spec.url})"
    head += f"\nplan {made.spec.plan}, which `codex deploy apply --plan` takes"
    return Reply({"status": block.to_json()}, f"{head}\n{table(rows)}")


def apply(path: Path, target_name: str, plan_digest: str | None) -> Reply:
    """Plan and apply; 77 if the policy refuses, 1 if the target cannot take the bundle, each with the block.

    DeploymentFailed, and nothing is changed, if the plan is not the one with ``plan_digest``.
    """
    target = _Session.here().open(target_name)
    made = target.plan(open_bundle(path), target.observe())
    if plan_digest not in {None, made.spec.plan}:
        message = f"the plan is {made.spec.plan} now, and {plan_digest} was asked for"
        raise DeploymentFailed(message, hint="look at it with `codex deploy plan`, and apply again")
    return _answer(target.apply(made))


def status(target_name: str) -> Reply:
    """What stands at the target: 0 if it is deployed and verifies, 4 if it is damaged, 1 if nothing is known of it."""
    return _answer(_Session.here().open(target_name).status())


def _answer(block: StatusBlock) -> Reply:
    body, text = {"status": block.to_json()}, json.dumps(block.to_json(), indent=2, ensure_ascii=False)
    failure = failure_of(block)
    if failure is None:
        return Reply(body, text)
    return Reply(body, text, exit=failure.exit_code, errors=failure.problems)


def _short(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:19]


@dataclass(frozen=True)
class _Session:
    """One command's project, and the time at which it began."""

    project: Project
    now: datetime

    @classmethod
    def here(cls) -> _Session:
        return cls(nearest_project(Path.cwd(), os.environ), datetime.now(UTC))

    def open(self, target_name: str) -> Target:
        project, ledger = self.project, self._ledger
        entries, head = ledger.head() if ledger else (0, None)
        facts = {
            **machine_facts(),
            "at": self.now.isoformat(timespec="seconds"),
            "ledger": ledger and {"entries": entries, "head": head},
        }
        context = TargetContext(project.root, project.targets, project.policy, STAGE, self.now, self._record, facts)
        return open_target(target_name, context)

    @property
    def _ledger(self) -> Ledger | None:
        """The project's ledger; there is none without a project."""
        return None if self.project.file is None else Ledger(self.project.root / ".codex" / "ledger.ndjson")

    def _record(self, decision: Decision) -> None:
        if (ledger := self._ledger) is not None:
            ledger.append("decision", decision.to_json(), at=self.now, sync=not decision.allowed)
