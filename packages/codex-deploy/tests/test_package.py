from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_core.digest import digest_folder, digest_json, list_folder
from codex_core.errors import CodexError, ContentRefused, DigestError, UsageError, VerificationError
from codex_core.stage import Attestation
from codex_core.status import Bundle
from codex_deploy import create_bundle, read_layout, verify
from codex_deploy.modelpack import FILE_PATH, MADE_FROM

Make = Callable[..., Path]


def pack(model: Path, *files: Path, output: Path, name: str = "lm") -> Bundle:
    return create_bundle(model, files, output, name=name, enforced=None, environment={})


def refusal(error: type[CodexError], model: Path, *files: Path, output: Path, name: str = "lm") -> CodexError:
    """The error, after which nothing new and nothing changed stands where ``output`` is."""
    before = {path: path.is_dir() or path.read_bytes() for path in output.parent.rglob("*")}
    with pytest.raises(error) as caught:
        pack(model, *files, output=output, name=name)
    assert {path: path.is_dir() or path.read_bytes() for path in output.parent.rglob("*")} == before
    return caught.value


def test_a_bundle_holds_the_layout_and_nothing_else(bundle: Bundle) -> None:
    paths = [entry.path for entry in list_folder(bundle.path)]
    blobs = [path for path in paths if path.startswith("blobs/sha256/")]
    assert [path for path in paths if path not in blobs] == ["index.json", "oci-layout"]
    for path in blobs:
        assert path == f"blobs/sha256/{digest_of(bundle.path / path)}"
    assert len(blobs) == 12  # two manifests, config, empty config, four files, statement, checkpoint, two reports


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_files_stand_in_the_model_and_what_happened_in_the_attestation(bundle: Bundle, facts: Attestation) -> None:
    layout = read_layout(bundle.path)
    assert [(one.annotations[FILE_PATH], one.media_type.split(".model.")[1]) for one in layout.model.layers] == [
        ("README.md", "doc.v1.raw"),
        ("config.json", "weight.config.v1.raw"),
        ("labels.json", "doc.v1.raw"),
        ("model.safetensors", "weight.v1.raw"),
    ]
    made_from = json.loads(layout.model.annotations[MADE_FROM])
    assert made_from["params"] == digest_json({"steps": 20, "width": 128})
    assert (made_from["task"], made_from["seed"], made_from["data"]) == ("lm", 7, f"sha256:{'a' * 64}")
    assert layout.attestation.subject == layout.model.descriptor()
    assert (layout.statement.name, layout.statement.enforced) == ("lm", facts)
    assert layout.checkpoint is not None
    assert layout.checkpoint.step == 20
    titles = [one.annotations["org.opencontainers.image.title"] for one in layout.attestation.layers]
    assert titles == ["audit.json", "evaluation.json", "manifest.json", "statement.json"]


def test_the_config_is_of_the_model_specification(bundle: Bundle) -> None:
    digest = read_layout(bundle.path).model.config.digest
    config = json.loads((bundle.path / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes())
    assert config["config"] == {"format": "safetensors", "paramSize": "0K", "precision": "bfloat16,float32"}
    assert config["descriptor"]["datasetsURL"] == [f"sha256:{'a' * 64}"]
    assert config["descriptor"]["revision"] == f"sha256:{'b' * 64}"


def test_content_alone_decides_the_digest(bundle: Bundle, model: Path, extras: list[Path], tmp_path: Path) -> None:
    assert pack(model, *extras, output=tmp_path / "other", name="another-name").digest == bundle.digest
    assert pack(model, *reversed(extras), output=tmp_path / "reversed").digest == bundle.digest
    for name in ("audit", "evaluation"):
        [report] = [path for path in extras if path.name == f"{name}.json"]
        report.write_text(f'{{"schema":"codex.{name}/1","counts":{{"marker":3}}}}')
        assert pack(model, *extras, output=tmp_path / name).digest == bundle.digest


@pytest.mark.parametrize("changed", ["value", "seed"])
def test_other_weights_and_what_they_were_made_from_give_another_digest(
    bundle: Bundle, extras: list[Path], tmp_path: Path, make_model: Make, changed: str
) -> None:
    model = make_model(tmp_path / "changed", **{changed: 9})
    assert pack(model, *extras, output=tmp_path / "other").digest != bundle.digest


def test_another_file_or_another_name_of_one_gives_another_digest(model: Path, tmp_path: Path) -> None:
    digests = set()
    for number, (name, text) in enumerate([("a.md", "x"), ("a.md", "y"), ("b.md", "x")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(pack(model, folder / name, output=folder / "bundle").digest)
    assert len(digests) == 3


def test_a_model_folder_of_another_tool_has_no_manifest_and_is_packed_all_the_same(model: Path, tmp_path: Path) -> None:
    (model / "manifest.json").unlink()
    (model / "tokenizer").mkdir()
    (model / "tokenizer" / "vocab.txt").write_text("cat\ndog\n")
    layout = read_layout(pack(model, output=tmp_path / "bundle").path)
    assert (layout.checkpoint, dict(layout.model.annotations)) == (None, {})
    assert "files/tokenizer/vocab.txt" in layout.resources()
    assert verify(tmp_path / "bundle").problems == ()


def test_an_existing_bundle_is_replaced_whole(bundle: Bundle, model: Path, tmp_path: Path) -> None:
    again = pack(model, output=bundle.path)
    assert again.digest != bundle.digest
    assert verify(bundle.path).problems == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "extras", "model"]


def test_an_empty_folder_is_taken(model: Path, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert pack(model, output=tmp_path / "bundle").path == tmp_path / "bundle"


def test_a_pickle_is_refused_by_its_content_with_the_way_out(model: Path, tmp_path: Path) -> None:
    (model / "manifest.json").unlink()
    (model / "optimizer.safetensors").write_bytes(pickle.dumps([1], 4))
    (model / "notes.txt").write_bytes(pickle.dumps(os.system, 0))
    error = refusal(ContentRefused, model, output=tmp_path / "bundle")
    assert (error.exit_code, len(error.problems)) == (1, 2)
    for problem, name in zip(error.problems, ("notes.txt", "optimizer.safetensors"), strict=True):
        assert (
            problem.message == f"{name} is a pickle, which runs code when it is loaded, so it may not go into a bundle"
        )
        assert problem.file == str(model / name)
        assert problem.hint is not None
        assert "safetensors" in problem.hint


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda model: (model / "config.json").write_text("{}"), "config.json has the digest"),
        (lambda model: (model / "config.json").unlink(), "config.json is missing"),
        (lambda model: (model / "README.md").write_text("x"), "README.md is not in manifest.json"),
        (lambda model: (model / "manifest.json").write_text("{}"), "no manifest of a checkpoint"),
    ],
)
def test_a_model_that_is_not_as_its_manifest_says_is_not_packed(
    model: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(model)
    error = refusal(VerificationError, model, output=tmp_path / "bundle")
    assert message in str(error)
    assert error.exit_code == 4


def test_wrong_input_is_a_usage_error_with_a_hint(model: Path, extras: list[Path], tmp_path: Path) -> None:
    (tmp_path / "audits").mkdir()
    second = tmp_path / "audits" / "second.json"
    second.write_text('{"schema": "codex.audit/1"}')
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.txt").write_text("text")
    (tmp_path / "file").write_text("text")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    new = tmp_path / "bundle"
    cases = [
        refusal(UsageError, tmp_path / "nowhere", output=new),
        refusal(UsageError, tmp_path / "file", output=new),
        refusal(UsageError, tmp_path / "none", output=new),
        refusal(UsageError, model, tmp_path / "missing.md", output=new),
        refusal(UsageError, model, tmp_path / "none", output=new),
        refusal(UsageError, model, *extras, second, output=new),
        refusal(UsageError, model, output=new, name="a b"),
        refusal(UsageError, model, output=tmp_path / "full"),
        refusal(UsageError, model, output=tmp_path / "file"),
        refusal(UsageError, model, output=tmp_path / "link"),
    ]
    assert all(case.hint and case.exit_code == 2 for case in cases)


def test_two_files_of_one_name_are_refused(model: Path, extras: list[Path], tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    other = tmp_path / "more" / "Readme.md"
    other.write_text("x")
    error = refusal(ContentRefused, model, *extras, other, output=tmp_path / "bundle")
    assert "differs from 'README.md' only in spelling" in str(error)


def test_links_and_special_files_in_a_model_are_refused(model: Path, tmp_path: Path) -> None:
    (model / "link.txt").symlink_to("/etc/hostname")
    refusal(DigestError, model, output=tmp_path / "bundle")


def test_a_full_disk_leaves_the_old_bundle_as_it_was(
    bundle: Bundle, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest_folder(bundle.path)
    real = os.fsync

    def full(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "index.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        pack(model, output=bundle.path)
    assert digest_folder(bundle.path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "extras", "model"]


def test_a_run_folder_is_not_taken_for_a_model_folder(model: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text("{}")
    error = refusal(UsageError, tmp_path / "run", output=tmp_path / "out")
    assert error.hint == f"name {tmp_path / 'run/model'}"


@pytest.mark.parametrize("place", ["blobs/thesis.txt", "blobs/sha256/thesis.txt", "thesis.txt"])
def test_a_bundle_that_holds_somebody_s_file_is_not_replaced(
    bundle: Bundle, model: Path, tmp_path: Path, place: str
) -> None:
    (bundle.path / place).write_text("years of work")
    refusal(UsageError, model, output=bundle.path)
    assert (bundle.path / place).read_text() == "years of work"


@pytest.mark.parametrize("output", ["model/inside", "model", "."])
def test_a_bundle_and_its_model_do_not_lie_in_one_another(model: Path, tmp_path: Path, output: str) -> None:
    before = digest_folder(model)
    with pytest.raises(UsageError):
        pack(model, output=tmp_path / output)
    assert digest_folder(model) == before


def test_what_somebody_puts_there_while_it_is_packed_is_not_replaced(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def meanwhile(descriptor: int) -> None:
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(UsageError, match="is not overwritten"):
        pack(model, output=tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_a_layout_into_which_another_tool_put_its_own_is_not_replaced(bundle: Bundle, model: Path) -> None:
    index = json.loads((bundle.path / "index.json").read_bytes())
    (bundle.path / "blobs" / "sha256" / ("f" * 64)).write_text("theirs")
    index["manifests"].append({**index["manifests"][0], "artifactType": "application/x.other"})
    (bundle.path / "index.json").write_text(json.dumps(index))
    refusal(UsageError, model, output=bundle.path)


def test_the_working_folder_is_replaced_if_it_is_empty(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = pack(model, output=Path())
    assert read_layout(tmp_path / "here").digest == made.digest
    with pytest.raises(UsageError, match="a bundle cannot be put at /"):
        pack(model, output=Path("/"))


def test_another_tool_s_layout_is_not_replaced(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "blobs/sha256").mkdir(parents=True)
    (other / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (other / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
    refusal(UsageError, model, output=other)
