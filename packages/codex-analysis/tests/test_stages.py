from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_analysis.audit import audit_paths
from codex_analysis.config import AuditParams
from codex_analysis.stages import audit
from codex_core.digest import canonical_json
from codex_core.errors import ConfigError, StageFailed
from codex_core.policy import Policy
from codex_core.stage import Attestation, StageContext


def context(
    folder: Path, inputs: tuple[str, ...] = ("corpus",), outputs: tuple[str, ...] = ("audit.json",)
) -> StageContext:
    def unused(*_: object) -> None:
        raise AssertionError("an audit asks for nothing outside its folder")

    return StageContext(
        stage="check",
        folder=folder,
        inputs=tuple(folder / name for name in inputs),
        outputs=tuple(folder / name for name in outputs),
        seed=0,
        stores={},
        policy=Policy(),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        record=unused,
        pin=unused,
        root=folder,
        runs=folder / "runs",
        forced=False,
        targets={},
        attestation=Attestation("python", Policy().digest, 0, None),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a.py").write_text("def f(): pass\n")
    (tmp_path / "corpus/b.pyi").write_text("def g(): ...\n")
    return tmp_path


def test_the_stage_writes_the_audit_of_its_inputs_as_canonical_json(folder: Path) -> None:
    audit(context(folder), AuditParams())
    written = (folder / "audit.json").read_bytes()
    expected = {"schema": "codex.audit/1", **audit_paths([folder / "corpus"]).to_json()}
    assert written == canonical_json(expected) + b"\n"
    assert set(json.loads(written)) == {
        "schema", "digest", "files", "lines", "counts", "verdicts", "findings", "skipped",
    }  # fmt: skip
    assert [item["path"] for item in json.loads(written)["findings"]] == ["a.py", "b.pyi"]


def test_inputs_may_be_several_folders_and_files_and_links_to_them(folder: Path) -> None:
    (folder / "one.py").write_text("# TODO\n")
    (folder / "linked").symlink_to("corpus")
    audit(context(folder, ("linked", "one.py")), AuditParams(exclude=("**/*.pyi",)))
    found = json.loads((folder / "audit.json").read_text())["findings"]
    assert [(item["path"], item["kind"]) for item in found] == [("linked/a.py", "empty-body"), ("one.py", "marker")]


def test_the_stage_fails_after_writing_and_names_what_it_fails_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StageFailed, match="the audit found 1 empty-body to fail on") as caught:
        audit(context(folder), AuditParams(fail_on=("empty-body", "marker")))
    assert caught.value.hint
    assert (folder / "audit.json").exists()
    log = capsys.readouterr().out
    assert log.endswith("the stage fails on these:\ncorpus/a.py\n       1  empty-body       stub      f: only pass\n\n")


def test_the_stage_passes_when_only_contracts_are_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audit(context(folder), AuditParams(fail_on=("empty-body", "unreadable"), exclude=("a.py",)))
    assert "1 finding in 1 Python file" in capsys.readouterr().out


def test_a_stage_without_inputs_or_with_two_outputs_is_refused(folder: Path) -> None:
    for wrong in (context(folder, inputs=()), context(folder, outputs=("a.json", "b.json"))):
        with pytest.raises(ConfigError, match="stage 'check' has") as caught:
            audit(wrong, AuditParams())
        assert caught.value.hint
    assert not list(folder.glob("*.json"))


def test_the_stage_takes_its_own_parameters() -> None:
    assert (audit.params(), audit.contract) == (AuditParams, 1)
