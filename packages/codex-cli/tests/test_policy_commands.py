"""What ``codex policy`` promises: every layer judges, each rule has its origin, and expectations can be checked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Codex = Callable[..., tuple[int, str, str]]

PROJECT = """
[pipeline]
name = "p"

[[policy.allow]]
id = "models"
url = "https://models.example:443/**"
verbs = ["read", "list"]
stages = ["corpus"]
expires = 2026-01-31
reason = "the mirror"

[[policy.deny]]
id = "drafts"
url = "https://models.example:443/drafts/**"
verbs = ["read"]
"""
SITE = """
[policy]
locked = true

[[policy.allow]]
id = "inside"
url = "https://*.example:443/**"
verbs = ["read", "connect"]
"""
URL = "https://models.example/a"
EXPIRED = "no rule allows read of https://models.example:443/a for stage 'corpus'; rule 'models' expired on 2026-01-31"
CLOSING = "a request goes out if an allow matches it and no deny does; everything else is refused"
EXPECTATIONS = """
[[expect]]
verdict = "allow"
url = "https://models.example/a"
stage = "corpus"
on = 2026-01-31

[[expect]]
verdict = "allow"
url = "https://models.example/a"
stage = "corpus"
on = 2026-02-01

[[expect]]
verdict = "refuse"
url = "https://models.example/drafts/x"
rule = "drafts"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "codex.toml").write_text(PROJECT)
    (folder / "site.toml").write_text(SITE)
    (folder / "expect.toml").write_text(EXPECTATIONS)
    return folder


def test_show_lists_each_rule_with_its_origin(codex: Codex, project: Path) -> None:
    code, out, err = codex("policy", "show", "--policy", "site.toml", cwd=project)
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()[1:4]] == [
        ["deny", "drafts", "https://models.example:443/drafts/**", "read", "all", "-", "codex.toml"],
        [
            *("allow", "models", "https://models.example:443/**", "read,", "list", "corpus", "2026-01-31", "(over)"),
            "codex.toml",
        ],
        [
            *("allow", "inside", "https://*.example:443/**", "read,", "connect", "all", "-"),
            *(*str(project / "site.toml").split(), "(locked)"),
        ],
    ]
    assert out.endswith("no deny does, and each locked file allows it too\n")


def test_show_points_at_a_stage_that_is_misspelt(codex: Codex, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        "".join(
            f'[[policy.deny]]\nid = "{name}"\nurl = "https://a.example:443/**"\nverbs = ["read"]\n'
            f'stages = ["{stage}"]\n'
            for name, stage in [("a", "seald"), ("b", "sealed"), ("c", "of-another-project")]
        )
    )
    code, out, _ = codex("policy", "show", "--policy", "site.toml", cwd=tmp_path)
    assert code == 0
    assert out.splitlines()[6:] == [
        "rule 'a' is for the stage 'seald', which is not here; did you mean 'sealed'?",
    ]


def test_show_as_json_has_the_digest_of_the_policy(codex: Codex, project: Path) -> None:
    _, out, _ = codex("policy", "show", "--json", cwd=project)
    answer = json.loads(out)
    _, explained, _ = codex("policy", "explain", "https://a.example:443/", "--json", cwd=project)
    assert answer["policy"] == json.loads(explained)["decision"]["policy"]
    assert answer["rules"][0] == {
        "effect": "deny",
        "id": "drafts",
        "url": "https://models.example:443/drafts/**",
        "verbs": ["read"],
        "stages": None,
        "expires": None,
        "reason": "",
        "origin": "codex.toml",
        "locked": False,
    }


def test_show_without_any_file_says_that_nothing_is_allowed(codex: Codex, tmp_path: Path) -> None:
    assert codex("policy", "show", cwd=tmp_path) == (
        0,
        f"there is no policy file\n{CLOSING}\n",
        "",
    )


def test_a_locked_policy_file_must_allow_as_well(codex: Codex, project: Path) -> None:
    words = ("policy", "explain", "https://models.example:443/a", "--stage", "corpus", "--verb", "list")
    code, out, _ = codex(*words, "--policy", "site.toml", cwd=project)
    assert code == 77
    assert out.startswith(f"refused: the locked policy {project / 'site.toml'} does not allow list of")


def test_expectations_that_fail_are_told_with_their_line(codex: Codex, project: Path) -> None:
    assert codex("policy", "test", "expect.toml", cwd=project) == (
        1,
        "2 of 3 decisions are as expected\n",
        f"expect.toml:8:3: read of {URL} for 'corpus' should be allow; {EXPIRED}\n",
    )


def test_expectations_are_asked_of_every_layer(codex: Codex, project: Path) -> None:
    environ = {**os.environ, "CODEX_POLICY": "site.toml"}
    words = [sys.executable, "-m", "codex_cli", "policy", "test", "expect.toml", "--json"]
    done = subprocess.run(words, cwd=project, env=environ, capture_output=True, text=True, check=False)
    tests = json.loads(done.stdout)["tests"]
    assert (done.returncode, [test["passed"] for test in tests]) == (0, [True, True, True])
    assert [test["decision"]["rule"] for test in tests] == ["models", "inside", "drafts"]


def test_every_mistake_in_expectations_is_told(codex: Codex, project: Path) -> None:
    (project / "bad.toml").write_text('[[expect]]\nverdict = "maybe"\nurl = 3\n[[expect]]\n[x]\n')
    code, out, err = codex("policy", "test", "bad.toml", cwd=project)
    assert (code, out) == (2, "")
    assert [line.partition(": ")[0] for line in err.splitlines()] == [
        *("bad.toml:2:1", "bad.toml:3:1", "bad.toml:4:3", "bad.toml:4:3", "bad.toml:5:2")
    ]
    (project / "bad.toml").write_text(
        "".join(
            f'[[expect]]\nverdict = "refuse"\nurl = "{url}"\nstage = "{stage}"\nrule = "{name}"\n'
            for url, stage, name in [
                ("models.example/a", "sealed", "models"),
                ("https://models.example/a", "seald", "drafts"),
                ("https://models.example/a", "corpus", "modls"),
            ]
        )
    )
    assert codex("policy", "test", "bad.toml", cwd=project) == (
        2,
        "",
        (
            "bad.toml:3:1: 'models.example/a' is not a URL; write scheme://host:port/path\n"
            "bad.toml:9:1: there is no stage 'seald'; did you mean 'sealed'?\n"
            "bad.toml:15:1: there is no rule 'modls'; did you mean 'models'?\n"
        ),
    )
    told = "/dev/null:1:1: it expects nothing; write [[expect]] tables, each with a verdict and a url\n"
    assert codex("policy", "test", "/dev/null", cwd=project) == (2, "", told)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a command an /etc of its own")
def test_the_site_s_policy_judges_every_command_and_every_stage(project: Path, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    (etc / "codex").mkdir()
    (etc / "codex/policy.toml").write_text(SITE)
    stage = '\n[stages.a]\ncommand = "touch x"\noutputs = ["x"]\n'
    (project / "codex.toml").write_text(PROJECT.replace("corpus", "a") + stage)
    own = ["unshare", "--mount", "sh", "-c", f"mount --bind '{etc}' /etc && exec \"$@\"", "sh"]

    def codex(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*own, sys.executable, "-m", "codex_cli", *words]
        return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)

    assert "/etc/codex/policy.toml (locked)" in codex("policy", "show").stdout
    digest = json.loads(codex("policy", "show", "--json").stdout)["policy"]
    assert codex("run").returncode == 0
    record = json.loads((project / ".codex/records/a.json").read_text())
    assert record["observed"]["attestation"]["policy"] == digest
    (etc / "codex/policy.toml").write_text("[policy]\nlocked = 3\n")
    refused = codex("run")
    assert (refused.returncode, refused.stderr.partition(": ")[0]) == (2, "/etc/codex/policy.toml:2:1")
    assert codex("sealed", "true").returncode == 2


MISTAKEN = """
surplus = 1

[policy]
locked = "yes"

[[policy.allow]]
id = "a"
url = "ftp://x"
verbs = ["eat"]
stage = "s"

[[policy.allow]]
id = "a"
url = "https://host/**"
verbs = []
expires = "soon"

[[policy.allow]]
url = "https://ho*st:443/**"
verbs = ["read"]
reason = 7

[[policy.deny]]
id = "d"
url = "https://10.0.0.0/33:443/"
verbs = ["read", "read"]
expires = 2027-01-01
"""
PLACES = [
    (1, 1),
    (4, 1),
    (8, 1),
    (9, 10),
    (10, 1),
    (13, 1),
    (14, 1),
    (15, 1),
    (16, 1),
    (18, 10),
    (19, 1),
    (21, 1),
    (25, 1),
]


@pytest.mark.parametrize("words", [("policy", "show"), ("sealed", "true"), ("plan",), ("run",)], ids=" ".join)
def test_every_mistake_of_a_policy_file_is_told_at_once_with_its_place(
    codex: Codex, project: Path, words: tuple[str, ...]
) -> None:
    file = project / "mistaken.toml"
    file.write_text(MISTAKEN.lstrip("\n"))
    at = 1 if words[0] == "sealed" else len(words)
    code, out, err = codex(*words[:at], "--policy", str(file), *words[at:], cwd=project)
    assert (code, out) == (2, "")
    assert [line.partition(": ")[0] for line in err.splitlines()] == [
        f"{file}:{line}:{column}" for line, column in PLACES
    ]
