from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from codex_core.errors import ConfigError, DeploymentFailed, PluginUnknown, PolicyRefused, UsageError, VerificationError
from codex_core.policy import Decision, Layer, Policy, Rule
from codex_core.stage import Attestation, Stage, StageContext, TargetReader
from codex_core.status import Bundle, TargetConfig
from codex_deploy import read_layout, verify
from codex_deploy.blocks import read_block
from codex_deploy.config import ApplyParams, PackageParams
from codex_deploy.stages import apply, package

RECORDED: list[Decision] = []
TARGETS = {
    "local": TargetConfig("local", "dir", "file:deployed"),
    "elsewhere": TargetConfig("elsewhere", "dir", "file:served"),
    "hub": TargetConfig("hub", "registry", "https://registry.example/lm", ("local",)),
    "kube": TargetConfig("kube", "kserve", "https://kube.example"),
}


@pytest.fixture
def context(tmp_path: Path, facts: Attestation) -> Callable[..., StageContext]:
    """A stage's context, whose inputs are copied into its staging folder as the runner copies them."""

    def make(inputs: list[Path], outputs: list[str], policy: Policy | None = None) -> StageContext:
        RECORDED.clear()
        folder = tmp_path / "root" / ".codex" / "staging" / "stage"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path in inputs:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
        return StageContext(
            stage="deploy",
            folder=folder,
            inputs=tuple(folder / path.name for path in inputs),
            outputs=tuple(folder / name for name in outputs),
            seed=7,
            stores={},
            policy=policy or Policy(),
            now=datetime(2026, 3, 4, tzinfo=UTC),
            record=RECORDED.append,
            pin=lambda place, digest: None,
            root=tmp_path / "root",
            runs=tmp_path / "runs",
            forced=False,
            targets=TARGETS,
            attestation=facts,
        )

    return make


Context = Callable[..., StageContext]


def test_both_are_stages_with_parameters_that_are_checked() -> None:
    for stage in (package, apply):
        assert isinstance(stage, Stage)
    assert package.params()(name="lm") == PackageParams(name="lm")
    assert apply.params()(target="local") == ApplyParams(target="local")
    for wrong in ({}, {"name": "a b"}, {"name": "lm", "more": 1}):
        with pytest.raises(ValidationError):
            PackageParams.model_validate(wrong)
    with pytest.raises(ValidationError):
        ApplyParams.model_validate({"target": ""})


def test_packaging_attests_to_what_was_enforced(
    context: Context, bundle: Bundle, model: Path, extras: list[Path], facts: Attestation
) -> None:
    ctx = context([model, *extras], ["bundle"])
    package(ctx, PackageParams(name="lm"))
    layout = read_layout(ctx.outputs[0])
    assert layout.digest == bundle.digest
    assert layout.statement.enforced == facts
    assert set(layout.statement.environment) == {"codex-deploy", "python"}
    assert verify(ctx.outputs[0]).problems == ()
    assert sorted(path.name for path in ctx.folder.iterdir()) == sorted(
        ["model", "bundle", *(one.name for one in extras)]
    )


def test_packaging_needs_a_model_and_one_output(context: Context, model: Path) -> None:
    for ctx in (context([], ["bundle"]), context([model], []), context([model], ["a", "b"])):
        with pytest.raises(ConfigError) as caught:
            package(ctx, PackageParams(name="lm"))
        assert caught.value.hint


def test_a_deployment_that_is_the_stages_output_is_written_whole_for_the_runner(
    context: Context, bundle: Bundle, tmp_path: Path
) -> None:
    ctx = context([bundle.path], ["deployed"])
    apply(ctx, ApplyParams(target="local"))
    found = verify(ctx.outputs[0])
    assert (found.kind, found.digest, found.problems) == ("deployment", bundle.digest, ())
    assert not (tmp_path / "root" / "deployed").exists()
    block = read_block((ctx.outputs[0] / "status.json").read_bytes())
    assert {step.op for step in block.plan} == {"create"}
    assert block.observed["ledger"] == {"entries": 12, "head": f"sha256:{'d' * 64}"}
    assert block.observed["at"] == "2026-03-04T00:00:00+00:00"


def test_such_a_deployment_is_the_same_whatever_stands_in_the_project(
    context: Context, bundle: Bundle, tmp_path: Path
) -> None:
    blocks = []
    for _ in range(2):
        ctx = context([bundle.path], ["deployed"])
        apply(ctx, ApplyParams(target="local"))
        assert verify(ctx.outputs[0]).problems == ()
        blocks.append((ctx.outputs[0] / "status.json").read_bytes())
        shutil.copytree(ctx.outputs[0], tmp_path / "root" / "deployed", dirs_exist_ok=True)
    assert blocks[0] == blocks[1]
    assert read_block(blocks[0]).spec.generation == 1


def test_the_tables_of_the_target_and_its_fallbacks_decide_what_the_stage_does() -> None:
    assert isinstance(apply, TargetReader)
    assert list(apply.targets(ApplyParams(target="hub"), TARGETS)) == ["hub", "local"]
    assert apply.targets(ApplyParams(target="local"), TARGETS) == {"local": TARGETS["local"]}
    with pytest.raises(UsageError, match="there is no target 'lokal'; did you mean 'local'"):
        apply.targets(ApplyParams(target="lokal"), TARGETS)


@pytest.mark.parametrize("output", ["served/model", "root-of"])
def test_an_output_and_a_target_that_lie_in_one_another_are_refused(
    context: Context, bundle: Bundle, tmp_path: Path, output: str
) -> None:
    """The runner would exchange the deployment away."""
    ctx = context([bundle.path], [output])
    inside = TargetConfig("elsewhere", "dir", "file:served" if output == "served/model" else "file:root-of/deployed")
    with pytest.raises(ConfigError, match="lie in one another"):
        apply(dataclasses.replace(ctx, targets={"elsewhere": inside}), ApplyParams(target="elsewhere"))
    assert not (tmp_path / "root" / "served").exists()


def test_a_target_is_the_output_however_its_folder_is_written(context: Context, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("root")
    ctx = context([bundle.path], ["deployed"])
    linked = TargetConfig("local", "dir", (tmp_path / "link" / "deployed").as_uri())
    apply(dataclasses.replace(ctx, targets={"local": linked}), ApplyParams(target="local"))
    assert verify(ctx.outputs[0]).problems == ()
    assert not (tmp_path / "root" / "deployed").exists()


@pytest.mark.parametrize(("output", "file"), [("block.json", "block.json"), ("folder", "folder/status.json")])
def test_a_deployment_elsewhere_is_applied_and_its_block_is_the_output(
    context: Context, bundle: Bundle, tmp_path: Path, output: str, file: str
) -> None:
    ctx = context([bundle.path], [output])
    apply(ctx, ApplyParams(target="elsewhere"))
    served = tmp_path / "root" / "served"
    assert verify(served).problems == ()
    assert (ctx.folder / file).read_bytes() == (served / "status.json").read_bytes()


def test_a_refused_offer_leaves_its_block_and_raises_the_refusal(context: Context, bundle: Bundle) -> None:
    ctx = context([bundle.path], ["offer.json"])
    with pytest.raises(PolicyRefused) as caught:
        apply(ctx, ApplyParams(target="hub"))
    block = read_block(ctx.outputs[0].read_bytes())
    assert caught.value.decision == block.decisions[0] == RECORDED[0]
    assert [one.store for one in caught.value.fallbacks] == ["local"]
    assert block.decisions[0].stage == "deploy"


def test_an_offer_that_is_allowed_fails_for_want_of_a_client(context: Context, bundle: Bundle) -> None:
    rule = Rule("hub", "https://registry.example:443/**", ("write",))
    ctx = context([bundle.path], ["offer.json"], Policy((Layer("codex.toml", (rule,)),)))
    with pytest.raises(DeploymentFailed, match="no registry client"):
        apply(ctx, ApplyParams(target="hub"))
    assert read_block(ctx.outputs[0].read_bytes()).conditions[1].reason == "NoClient"


def test_the_block_of_an_offer_has_one_digest_in_every_folder(context: Context, bundle: Bundle, tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        ctx = dataclasses.replace(context([bundle.path], ["offer.json"]), root=tmp_path / name)
        with pytest.raises(PolicyRefused):
            apply(ctx, ApplyParams(target="hub"))
        digests.add(read_block(ctx.outputs[0].read_bytes()).digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("inputs", "outputs", "target", "error"),
    [
        (["bundle"], ["deployed"], "lokal", UsageError),
        (["bundle"], ["deployed"], "kube", PluginUnknown),
        (["model"], ["deployed"], "local", UsageError),
        ([], ["deployed"], "local", ConfigError),
        (["bundle", "model"], ["deployed"], "local", ConfigError),
        (["bundle"], [], "local", ConfigError),
    ],
)
def test_wrong_input_is_told_and_nothing_is_written(
    context: Context, bundle: Bundle, inputs: list[str], outputs: list[str], target: str, error: type[Exception]
) -> None:
    ctx = context([bundle.path.with_name(name) for name in inputs], outputs)
    with pytest.raises(error):
        apply(ctx, ApplyParams(target=target))
    assert not any(output.exists() for output in ctx.outputs)


def test_a_tampered_bundle_is_not_deployed(context: Context, bundle: Bundle) -> None:
    name = bundle.resources["files/model.safetensors"].removeprefix("sha256:")
    (bundle.path / "blobs" / "sha256" / name).write_bytes(b"{}")
    for target in ("local", "elsewhere", "hub"):
        with pytest.raises(VerificationError):
            apply(context([bundle.path], ["deployed"]), ApplyParams(target=target))
