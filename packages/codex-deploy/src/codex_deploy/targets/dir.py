"""The target ``dir``: a folder on this machine that holds a bundle's layout and status.json beside it."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from codex_core.errors import CodexError, DeploymentFailed, UrlError, VerificationError
from codex_core.status import Condition, Observed, Spec, StatusBlock
from codex_core.store_urls import absolute_store_url
from codex_deploy.blobs import copy_file
from codex_deploy.blocks import block_bytes, observed_block
from codex_deploy.bundle import STATUS_FILE, holds_only_ours, is_deployment
from codex_deploy.drafts import draft_of, publish
from codex_deploy.flaws import require_none
from codex_deploy.layout import BLOBS, INDEX_FILE, LAYOUT_FILE
from codex_deploy.layout_check import check_layout
from codex_deploy.plan import compare_resources, is_done, make_plan
from codex_deploy.verification import check_deployment, read_status, require_verified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_core.status import Bundle, Plan, TargetConfig, TargetContext
    from codex_deploy.flaws import Flaw

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class DirTarget:
    """The folder that the target's ``url`` names: ``file:REL``, ``file:///ABS``, or a path relative to the project."""

    contract: ClassVar[int] = 1

    def __init__(self, config: TargetConfig, context: TargetContext) -> None:
        self._config, self._context = config, context
        self.folder = target_folder(config.url, context.root)

    def observe(self) -> Observed | None:
        """The resources that verify, and the generation; None for no folder, or an empty one.

        DeploymentFailed if something stands there that is no deployment, and so is nobody's to replace.
        """
        if not self._is_taken():
            return None
        report = check_deployment(self.folder)
        layout = report.layout
        resources = layout.resources() if layout else {}
        sound = {name: digest for name, digest in resources.items() if report.actual.get(digest) == digest}
        if report.flaws:
            sound.pop("manifest", None)  # it stands for the whole, which has to be written again
        return Observed(sound, self._generation())

    def plan(self, bundle: Bundle, current: Observed | None) -> Plan:
        """What has to be done to the manifest, the config and each file."""
        steps = list(compare_resources(current.resources if current else {}, bundle.resources))
        return make_plan(bundle, self._config, self._context.policy, steps, current)

    def apply(self, plan: Plan) -> StatusBlock:
        """Copy the bundle beside its place, read the copy back, and put it there by one rename or exchange.

        Nothing is written where the same bundle stands with the same attestation. DeploymentFailed if what stands there
        is not what ``plan`` was made for; VerificationError if the bundle does not verify. The place is then as it was.
        """
        self._require_current(plan)
        if is_done(plan.steps) and self._attests_the_same(plan.bundle):
            require_verified(plan.bundle.path)
            return self._block(plan, 0)
        with draft_of(self.folder) as draft:
            block = self.write(plan, draft)
            publish(draft, self.folder, check=lambda: self._require_current(plan))
        return block

    def write(self, plan: Plan, folder: Path) -> StatusBlock:
        """Write the whole deployment into ``folder``, which is empty, and leave it to the caller to put it in place."""
        size = _copy_layout(plan.bundle.path, folder)
        report = check_layout(folder)
        require_none(report.flaws, plan.bundle.path)
        if report.layout is None or report.layout.digest != plan.bundle.digest:
            raise VerificationError(f"{plan.bundle.path} is not the bundle {plan.bundle.digest} that was planned for")
        block = self._block(plan, size)
        (folder / STATUS_FILE).write_bytes(block_bytes(block))
        return block

    def status(self) -> StatusBlock:
        """The block of what stands there, with the conditions of now: each byte of it is read."""
        context, config = self._context, self._config
        nothing = StatusBlock(Spec(config.name, config.kind, config.url, "", context.policy.digest, "", 0), (), ())
        observed = {**context.observed, "mode": "offline"}
        if not self._is_deployed() and not self._is_taken():
            ready = Condition("Ready", "False", "NotDeployed", "nothing stands there", 0)
            return observed_block(replace(nothing, conditions=(ready,)), observed)
        flaws = check_deployment(self.folder).flaws
        try:
            block = read_status(self.folder)
        except CodexError:
            block = nothing
        return observed_block(replace(block, conditions=_conditions(block.spec.generation, flaws)), observed)

    def _is_deployed(self) -> bool:
        """Whether a deployment stands there, whatever has been added to it."""
        is_folder = self.folder.is_dir() and not self.folder.is_symlink()
        return is_folder and is_deployment(self.folder)

    def _is_taken(self) -> bool:
        if not os.path.lexists(self.folder):
            return False
        if self.folder.is_symlink() or not self.folder.is_dir():
            raise self._foreign()
        if not any(self.folder.iterdir()):
            return False
        if not (is_deployment(self.folder) and holds_only_ours(self.folder, extra=(STATUS_FILE,))):
            raise self._foreign()
        return True

    def _foreign(self) -> DeploymentFailed:
        message = f"{self.folder} exists and is no deployment, so nothing is done to it"
        return DeploymentFailed(message, hint=f"give target {self._config.name!r} another url, or move this away")

    def _require_current(self, plan: Plan) -> None:
        if self.plan(plan.bundle, self.observe()) != plan:
            message = f"what stands at {self.folder}, or the policy, has changed since the plan was made"
            raise DeploymentFailed(message, hint="look at it with `codex deploy plan`, and apply again")

    def _attests_the_same(self, bundle: Bundle) -> bool:
        """Whether the attestation, which is no content of a plan, is the one that stands there: the index names it."""
        names = (folder / INDEX_FILE for folder in (bundle.path, self.folder))
        return len({name.read_bytes() for name in names}) == 1

    def _generation(self) -> int:
        try:
            return read_status(self.folder).spec.generation
        except CodexError:
            return 0

    def _block(self, plan: Plan, size: int) -> StatusBlock:
        block = StatusBlock(plan.spec, plan.steps, _conditions(plan.spec.generation, ()))
        return observed_block(block, {**self._context.observed, "mode": "offline", "bytes": size})


def target_folder(url: str, root: Path) -> Path:
    """The folder that a target's ``url`` names, seen from ``root``; UrlError if it names none."""
    if url.startswith("file:"):
        path = Path(unquote(absolute_store_url(url, root).removeprefix("file://"), errors="surrogateescape"))
    elif _SCHEME.match(url):
        raise UrlError(f"{url!r} names no folder", hint="write file:folder/beside/this/file or file:///absolute/folder")
    else:
        path = root / url
    return Path(os.path.normpath(path))


def _copy_layout(source: Path, folder: Path) -> int:
    """Copy a layout's files, whatever they hold; their size in bytes."""
    (folder / BLOBS).mkdir(parents=True)
    names = [LAYOUT_FILE, INDEX_FILE, *(f"{BLOBS}/{blob.name}" for blob in sorted((source / BLOBS).iterdir()))]
    return sum(copy_file(source / name, folder / name) for name in names)


def _conditions(generation: int, flaws: Sequence[Flaw]) -> tuple[Condition, ...]:
    if flaws:
        first = f"{flaws[0].path}: {flaws[0].message}"
        return (
            Condition("Ready", "False", "Damaged", "what stands there is not what was deployed", generation),
            Condition("Verified", "False", "Mismatch", first, generation),
        )
    return (
        Condition("Ready", "True", "Deployed", "the bundle stands in its place", generation),
        Condition("Verified", "True", "DigestsMatch", "every byte was read back and is vouched for", generation),
    )
