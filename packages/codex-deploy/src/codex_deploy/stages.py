"""The stages ``deploy.package`` and ``deploy.apply``: a model folder becomes a bundle, and a bundle is deployed."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, ClassVar

from codex_core.errors import ConfigError, PluginUnknown
from codex_core.fallbacks import fallback_names
from codex_core.registry import Registry
from codex_core.shape import Shape
from codex_core.status import TargetContext
from codex_deploy.__about__ import __version__
from codex_deploy.blocks import block_bytes
from codex_deploy.outcome import failure_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from codex_core.stage import StageContext
    from codex_core.status import StatusBlock, TargetConfig
    from codex_deploy.config import ApplyParams, PackageParams

STATUS_SUFFIX = ".json"


class PackageStage:
    """Packs the model folder that is its first input, and the files that are the others, into its one output."""

    contract: ClassVar[int] = 1
    shape: ClassVar[Shape] = Shape(("model",), ("bundle",), more=True)

    def params(self) -> type[PackageParams]:
        """``name``."""
        from codex_deploy.config import PackageParams

        return PackageParams

    def __call__(self, ctx: StageContext, params: PackageParams) -> None:
        """Write the bundle, with an attestation of what was enforced when this stage began."""
        from codex_deploy.package import create_bundle

        ctx.check(self.shape)
        (model, *files), (output,) = ctx.inputs, ctx.outputs
        facts = packing_environment()
        bundle = create_bundle(
            model,
            files,
            output,
            name=params.name,
            enforced=ctx.attestation,
            environment=facts,
            stages=ctx.history,
        )
        print(f"packed {len(bundle.resources) - 2} files as {bundle.name}: {bundle.digest}")


class ApplyStage:
    """Deploys the bundle that is its one input to a target; its one output is the deployment, or its status block."""

    contract: ClassVar[int] = 1
    shape: ClassVar[Shape] = Shape(("bundle",), ("status.json",))
    tells_refusals: ClassVar[bool] = True

    def params(self) -> type[ApplyParams]:
        """``target``."""
        from codex_deploy.config import ApplyParams

        return ApplyParams

    def targets(self, params: ApplyParams, targets: Mapping[str, TargetConfig]) -> Mapping[str, TargetConfig]:
        """The target and the fallbacks that its block names; UsageError, with the nearest name, if it is not there."""
        from codex_deploy.targets import find_target

        target, kinds = find_target(params.target, targets), Registry("codex.targets").names()
        if target.kind not in kinds:
            known = ", ".join(kinds)
            raise PluginUnknown(f"target {target.name!r} is of kind {target.kind!r}", hint=f"there are {known}")
        return {name: targets[name] for name in (target.name, *fallback_names(target, targets)) if name in targets}

    def __call__(self, ctx: StageContext, params: ApplyParams) -> None:
        """Plan and apply. PolicyRefused, or another error, once the output says why the target is not ready.

        A ``dir`` target whose folder is this stage's output is written there, all of it, and the runner puts it in its
        place: what this makes follows from the bundle and the tables alone, whatever stands there now.
        """
        from codex_deploy.layout_check import open_bundle
        from codex_deploy.targets import open_target
        from codex_deploy.targets.dir import DirTarget

        ctx.check(self.shape)
        (packed,), (output,) = ctx.inputs, ctx.outputs
        target, bundle = open_target(params.target, _target_context(ctx)), open_bundle(packed)
        if isinstance(target, DirTarget) and _is_own_output(ctx, output, target.folder):
            block = target.write(target.plan(bundle, None), output)
        else:
            block = target.apply(target.plan(bundle, target.observe()))
            _write_block(block, output)
        _tell(block)


package = PackageStage()
apply = ApplyStage()


def packing_environment() -> dict[str, str]:
    """What packs a bundle, as its attestation says it."""
    return {"codex-deploy": __version__, "python": platform.python_version()}


def _target_context(ctx: StageContext) -> TargetContext:
    ledger = {"entries": ctx.attestation.ledger_entries, "head": ctx.attestation.ledger_head}
    observed = {**machine_facts(), "at": ctx.now.isoformat(timespec="seconds"), "ledger": ledger}
    return TargetContext(ctx.root, ctx.targets, ctx.policy, ctx.stage, ctx.now, ctx.record, observed)


def machine_facts() -> dict[str, object]:
    """Who applies a deployment, as the ``observed`` part of a block says it."""
    return {"host": platform.node(), "pid": os.getpid()}


def _is_own_output(ctx: StageContext, output: Path, folder: Path) -> bool:
    """Whether the runner puts ``output`` where the target's ``folder`` is; ConfigError if one lies in the other."""
    place, there = (path.resolve() for path in (ctx.root / output.relative_to(ctx.folder), folder))
    if place != there and (place.is_relative_to(there) or there.is_relative_to(place)):
        message = f"the output {output.name!r} of stage {ctx.stage!r} and the target's folder lie in one another"
        raise ConfigError(message, hint="make them the same folder, or two that are apart")
    return place == there


def _write_block(block: StatusBlock, output: Path) -> None:
    file = output if output.suffix == STATUS_SUFFIX else output / "status.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(block_bytes(block))


def _tell(block: StatusBlock) -> None:
    for condition in block.conditions:
        print(f"{condition.type}: {condition.status} ({condition.reason}): {condition.message}")
    print(f"status block: {block.digest}")
    if (failure := failure_of(block)) is not None:
        raise failure
