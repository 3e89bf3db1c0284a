"""Every format that scripts depend on, from the command line."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Codex

PIPELINE = """\
[pipeline]
name = "formats"
seed = 7

[[policy.allow]]
id = "models"
url = "https://models.example:9000/models/public/**"
verbs = ["read"]
stages = ["fetch", "cli"]
expires = 2999-12-31
reason = "approved mirror"

[[policy.deny]]
id = "secret"
url = "https://models.example:9000/models/public/secret/**"
verbs = ["read", "list"]

[stores.models]
url = "s3://models"
endpoint = "https://models.example:9000"
fallbacks = ["mirror", "gone"]

[stores.mirror]
url = "file:mirror"

[stores.gone]
url = "file:gone"

[stages.fetch]
uses = "connectors.pull"
with = { from = "store://models/private" }
outputs = ["fetched.json"]
on_refusal = "record"

[stages.copy]
uses = "connectors.pull"
with = { from = "store://mirror", include = ["**/*.txt"] }
outputs = ["copy"]

[stages.seed]
command = "echo $CODEX_SEED $CODEX_STAGE $LEVEL > seed.txt"
outputs = ["seed.txt"]
env = { LEVEL = "strict" }
"""


@pytest.fixture
def project(folder: Path) -> Path:
    (folder / "codex.toml").write_text(PIPELINE)
    (folder / "mirror/deep").mkdir(parents=True)
    (folder / "mirror/a.txt").write_text("a")
    (folder / "mirror/deep/b.txt").write_text("bb")
    (folder / "mirror/c.bin").write_bytes(b"\0")
    (folder / "mirror/private").mkdir()
    (folder / "mirror/private/d.md").write_text("ddd")
    return folder


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def canonical(value: Any) -> bytes:  # Any: JSON values
    """RFC 8785 for what these tests hold: ASCII keys and small integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def folder_digest(folder: Path) -> str:
    """As docs/design.md says it, written again here."""
    paths = sorted(str(path.relative_to(folder)).encode() for path in folder.rglob("*") if path.is_file())
    entries = []
    for path in paths:
        data = (folder / os.fsdecode(path)).read_bytes()
        entries.append([path.decode(), len(data), sha256(data)])
    return sha256(canonical(entries))


def test_run_answers_with_its_stages_and_their_outputs_digests(codex: Codex, project: Path) -> None:
    answer = codex("run", "--json", cwd=project)
    assert answer.exit == 0, answer.err
    shown = answer.json
    assert (shown["schema"], shown["exit"], shown["errors"]) == ("codex.run/1", 0, [])
    assert [(stage["name"], stage["state"]) for stage in shown["stages"]] == [
        ("fetch", "ran"),
        ("copy", "ran"),
        ("seed", "ran"),
    ]
    outputs = {name: digest for stage in shown["stages"] for name, digest in stage["outputs"].items()}
    assert outputs["copy"] == folder_digest(project / "copy")
    assert outputs["seed.txt"] == sha256(b"7 seed strict\n")
    assert sorted(p.name for p in (project / "copy").rglob("*.*")) == ["a.txt", "b.txt"]


def test_plan_and_status_answer_in_the_same_shape_and_plan_check_ends_with_3(codex: Codex, project: Path) -> None:
    before = codex("plan", "--check", "--json", cwd=project)
    assert (before.exit, before.json["schema"], before.json["exit"]) == (3, "codex.plan/1", 3)
    assert {stage["state"] for stage in before.json["stages"]} == {"stale"}
    assert all(set(stage) == {"name", "state", "why", "outputs"} for stage in before.json["stages"])
    assert codex("run", cwd=project).exit == 0
    after = codex("plan", "--check", "--json", cwd=project)
    assert (after.exit, {stage["state"] for stage in after.json["stages"]}) == (0, {"fresh"})
    status = codex("status", "--json", cwd=project)
    assert (status.exit, status.json["schema"]) == (0, "codex.status/1")
    assert status.json["stages"] == after.json["stages"]


def test_a_plan_is_the_same_bytes_each_time_and_in_any_folder(codex: Codex, project: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    project_plan = codex("plan", "--json", cwd=project, TZ="Asia/Tokyo", LC_ALL="C").out
    project.rename(other)
    assert codex("plan", "--json", cwd=other, TZ="America/Lima", PYTHONHASHSEED="5").out == project_plan


def test_a_recorded_refusal_holds_decision_and_fallbacks_in_canonical_json(codex: Codex, project: Path) -> None:
    assert codex("run", cwd=project).exit == 0
    data = (project / "fetched.json").read_bytes()
    shown = json.loads(data)
    assert data == canonical(shown) + b"\n"
    assert set(shown) == {"schema", "decision", "fallbacks"}
    assert shown["schema"] == "codex.refusal/1"
    assert shown["decision"]["url"].startswith("https://models.example:9000/models/private")
    assert [(f["store"], f["usable"]) for f in shown["fallbacks"]] == [("mirror", True), ("gone", False)]


def test_a_record_holds_identity_outputs_and_decisions(codex: Codex, project: Path) -> None:
    assert codex("run", cwd=project).exit == 0
    data = (project / ".codex/records/copy.json").read_bytes()
    record = json.loads(data)
    assert set(record) == {"schema", "stage", "identity", "outputs", "decisions", "refusal", "observed"}
    assert (record["schema"], record["stage"], record["refusal"]) == ("codex.record/1", "copy", None)
    assert record["identity"]["params"] == {"from": "store://mirror", "include": ["**/*.txt"], "fallback": False}
    assert record["identity"]["sources"] == {"store://mirror": folder_digest(project / "copy")}
    assert record["outputs"] == {"copy": folder_digest(project / "copy")}
    fetched = json.loads((project / ".codex/records/fetch.json").read_bytes())
    assert [decision["verdict"] for decision in fetched["decisions"]] == ["refuse"]
    assert fetched["refusal"] in fetched["decisions"]


def test_the_ledger_is_a_chain_of_canonical_lines(codex: Codex, project: Path) -> None:
    assert codex("run", cwd=project).exit == 0
    assert codex("run", "--force", cwd=project).exit == 0
    lines = (project / ".codex/ledger.ndjson").read_bytes().splitlines()
    previous = None
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        assert line == canonical(entry)
        assert (entry["seq"], entry["prev"], entry["kind"]) == (number, previous, "decision")
        previous = entry.pop("hash")
        assert previous == sha256(canonical(entry))
    verified = codex("ledger", "verify", "--json", cwd=project)
    assert verified.exit == 0
    shown = {key: verified.json[key] for key in ("schema", "entries", "head", "bad_line")}
    assert shown == {"schema": "codex.ledger.verify/1", "entries": len(lines), "head": previous, "bad_line": None}


def test_ledger_verify_names_the_first_bad_line_and_ends_with_4(codex: Codex, project: Path) -> None:
    for _ in range(3):
        assert codex("run", "--force=fetch", "--only", "fetch", cwd=project).exit == 0
    ledger = project / ".codex/ledger.ndjson"
    lines = ledger.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"refuse", b"allow!", 1)
    ledger.write_bytes(b"".join(lines))
    answer = codex("ledger", "verify", "--json", cwd=project)
    assert (answer.exit, answer.json["bad_line"], answer.json["exit"]) == (4, 2, 4)


@pytest.mark.parametrize(
    ("url", "exit_code", "rule"),
    [
        ("https://MODELS.example.:9000/models/public/x?y=z", 0, "models"),
        ("https://models.example:9000/models/public/secret/x", 77, "secret"),
        ("https://models.example:9000/models/private", 77, None),
        ("https://models.example:9001/models/public/x", 77, None),
    ],
)
def test_policy_explain_answers_with_the_decision(
    codex: Codex, project: Path, url: str, exit_code: int, rule: str | None
) -> None:
    answer = codex("policy", "explain", url, "--json", cwd=project)
    decision = answer.json["decision"]
    assert (answer.exit, answer.json["schema"], decision["rule"]) == (exit_code, "codex.policy.explain/1", rule)
    assert decision["verdict"] == ("refuse" if exit_code else "allow")
    names = {"verdict", "rule", "reason", "remedy", "url", "verb", "stage", "policy", "enforced_by"}
    assert set(decision) == names
    assert decision["enforced_by"] == "client"
    assert decision["stage"] == "cli"


def test_the_remedy_of_a_refusal_pasted_into_the_file_allows_the_request(codex: Codex, project: Path) -> None:
    words = ("policy", "explain", "https://other.example/data", "--verb", "list", "--json")
    refused = codex(*words, cwd=project)
    assert refused.exit == 77
    with open(project / "codex.toml", "a") as file:
        file.write(f"\n{refused.json['decision']['remedy']}\n")
    assert codex(*words, cwd=project).exit == 0


def test_store_commands_answer_with_objects_decision_and_fallbacks(codex: Codex, project: Path) -> None:
    listed = codex("store", "ls", "store://mirror", "--json", cwd=project)
    assert (listed.exit, listed.json["schema"]) == (0, "codex.store.ls/1")
    assert [(o["key"], o["size"]) for o in listed.json["objects"]] == [
        ("a.txt", 1),
        ("c.bin", 1),
        ("deep/b.txt", 2),
        ("private/d.md", 3),
    ]
    assert all(set(o) == {"key", "size", "digest"} for o in listed.json["objects"])
    shown = codex("store", "fallbacks", "store://models/private", "--json", cwd=project)
    assert shown.json["schema"] == "codex.store.fallbacks/1"
    assert [(f["store"], f["usable"]) for f in shown.json["fallbacks"]] == [("mirror", True), ("gone", False)]
    assert all(set(f) == {"store", "usable", "reason"} for f in shown.json["fallbacks"])
    assert shown.json["decision"]["url"].startswith("https://models.example:9000/models/private")
    refused = codex("store", "ls", "store://models/private", "--json", cwd=project)
    assert (refused.exit, refused.json["exit"], refused.json["errors"][0]["code"]) == (77, 77, "policy.refused")
    assert "[[policy.allow]]" in refused.err


def test_store_get_and_put_move_the_same_bytes(codex: Codex, project: Path) -> None:
    assert codex("store", "get", "store://mirror/deep/b.txt", "got.txt", cwd=project).exit == 0
    assert (project / "got.txt").read_text() == "bb"
    assert codex("store", "put", "got.txt", "store://mirror/new/c.txt", cwd=project).exit == 0
    assert (project / "mirror/new/c.txt").read_text() == "bb"
    stat = codex("store", "stat", "store://mirror/new/c.txt", "--json", cwd=project)
    assert stat.exit == 0
    assert sha256(b"bb") in stat.out
    missing = codex("store", "get", "store://mirror/none", "x", cwd=project)
    assert (missing.exit, (project / "x").exists()) == (1, False)


def test_analyze_audit_answers_with_counts_and_findings(codex: Codex, project: Path) -> None:
    source = project / "source"
    source.mkdir()
    marker = "TO" + "DO"
    (source / "m.py").write_text(f"def f():\n    raise NotImplementedError  # {marker}: later\n\ndef g(): ...\n")
    answer = codex("analyze", "audit", "source", "--json", cwd=project)
    assert (answer.exit, answer.json["schema"]) == (0, "codex.analyze.audit/1")
    counts = answer.json["counts"]
    assert (counts["marker"], counts["not-implemented"], counts["empty-body"]) == (1, 1, 1)
    for finding in answer.json["findings"]:
        assert {"kind", "path", "line", "verdict", "fingerprint"} <= set(finding)
    found = {(f["kind"], f["path"].rpartition("/")[2], f["line"]) for f in answer.json["findings"]}
    assert found == {("marker", "m.py", 2), ("not-implemented", "m.py", 2), ("empty-body", "m.py", 4)}
    assert codex("analyze", "audit", "source", "--fail-on", "marker", cwd=project).exit == 1
    assert codex("analyze", "audit", "codex.toml", "--fail-on", "marker", cwd=project).exit == 0


def test_doctor_answers_with_the_guard_level_and_checks(codex: Codex, project: Path) -> None:
    answer = codex("doctor", "--json", cwd=project)
    assert answer.exit == 0, answer.out
    assert answer.json["schema"] == "codex.doctor/1"
    assert answer.json["guard"]["level"] == "kernel"
    assert answer.json["guard"]["reason"]
    assert answer.json["checks"]


def test_errors_are_in_the_object_and_on_stderr_with_file_line_and_column(codex: Codex, project: Path) -> None:
    text = PIPELINE.replace('outputs = ["copy"]', 'output = ["copy"]')
    (project / "codex.toml").write_text(text)
    answer = codex("run", "--json", cwd=project)
    assert (answer.exit, answer.json["exit"]) == (2, 2)
    errors = answer.json["errors"]
    assert [set(error) for error in errors] == [{"code", "message", "hint", "file", "line", "column"}] * len(errors)
    line = text.splitlines().index('output = ["copy"]') + 1
    assert any((e["file"], e["line"], e["column"]) == ("codex.toml", line, 1) for e in errors)
    assert f"codex.toml:{line}:1: unknown key 'output' in stage 'copy'; did you mean 'outputs'?" in answer.err
    assert not (project / ".codex").exists()


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("rnu",), 2),
        (("store", "lss"), 2),
        (("run", "--no-such-option"), 2),
        (("run", "nowhere"), 2),
        (("run", "--only", "nothing"), 2),
        (("run", "--require-guard", "steel"), 2),
        (("policy", "explain"), 2),
        (("ledger", "verify", "nowhere.ndjson"), 2),
        (("analyze", "audit", "nowhere"), 2),
        (("store", "ls", "store://nothing"), 2),
    ],
)
def test_wrong_words_end_with_their_exit_code_and_say_what_to_do(
    codex: Codex, project: Path, words: tuple[str, ...], exit_code: int
) -> None:
    answer = codex(*words, cwd=project)
    assert (answer.exit, answer.out) == (exit_code, "")
    assert answer.err.strip()
    assert "Traceback" not in answer.err


def test_version_is_one_line(codex: Codex, folder: Path) -> None:
    answer = codex("--version", cwd=folder)
    assert (answer.exit, answer.out, answer.err) == (0, "codex 1.0.0\n", "")


def test_the_module_is_the_same_command(codex: Codex, folder: Path) -> None:
    import subprocess

    done = subprocess.run([sys.executable, "-m", "codex_cli", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == codex("--version", cwd=folder).out
