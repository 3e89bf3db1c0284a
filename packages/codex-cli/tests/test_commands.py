"""What the commands of codex-cli promise on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from codex_cli.commands_index import load_index
from codex_core.ledger import Ledger
from codex_core.policy import Layer, Policy, Request, Rule, decide

Codex = Callable[..., tuple[int, str, str]]

URL = "https://models.example:443/a"
POLICY = f"""
[pipeline]
name = "p"

[[policy.allow]]
id = "models"
url = "{URL}"
verbs = ["read"]
reason = "the mirror"

[stages.hello]
command = "echo hello > hello.txt"
outputs = ["hello.txt"]
"""
MORE = """
[[policy.allow]]
id = "tunnel"
url = "https://tunnel.example:443/**"
verbs = ["connect"]

[[policy.allow]]
id = "net"
url = "http://127.0.0.0/8:8740/**"
verbs = ["read"]
"""
AT = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "codex.toml").write_text(POLICY)
    return folder


@pytest.fixture
def ledger(project: Path) -> Path:
    rule = Rule("models", URL, ("read",), reason="the mirror")
    policy = Policy((Layer("codex.toml", allow=(rule,)),))
    book = Ledger(project / ".codex/ledger.ndjson")
    for url in (URL, "https://other.example:443/b"):
        decision = decide(policy, Request("read", url, "train"), now=AT)
        book.append("decision", decision.to_json(), at=AT)
    return book.path


ANSWERED_BY_THE_DOOR = {"sealed"}
"""It has no --json: its stdout is the command's."""
NAMES = sorted({name for name, entry in load_index(os.environ).commands.items() if entry.app} - ANSWERED_BY_THE_DOOR)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_json(codex: Codex, name: str) -> None:
    code, out, err = codex(*name.split(), "--help")
    assert (code, err) == (0, "")
    assert f"Usage: codex {name} " in out
    assert "--json" in out
    code, out, err = codex(*name.split(), "--no-such-option", "--json")
    answer = json.loads(out)
    assert (code, answer["schema"], answer["exit"]) == (2, f"codex.{name.replace(' ', '.')}/1", 2)
    assert [error["code"] for error in answer["errors"]] == ["usage.invalid"]
    assert err.startswith(f"codex: codex {name}: no such option: --no-such-option")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--stage", "train"), [1, 2]),
        (("--stage", "other"), []),
        (("--host", "models.example"), [1]),
        (("--host", "*.example"), [1, 2]),
        (("--verdict", "refuse", "--stage", "train", "--last", "1"), [2]),
    ],
)
def test_ledger_show_takes_filters(codex: Codex, ledger: Path, words: tuple[str, ...], found: list[int]) -> None:
    _, out, _ = codex("ledger", "show", str(ledger), *words, "--json")
    assert [entry["seq"] for entry in json.loads(out)["entries"]] == found


def test_policy_explain_says_which_rule_allows(codex: Codex, project: Path) -> None:
    assert codex("policy", "explain", URL, cwd=project) == (
        0,
        f"allowed: rule 'models' allows read of {URL}: the mirror\n",
        "",
    )


def test_policy_explain_ends_with_77_and_a_rule_to_paste(codex: Codex, project: Path) -> None:
    code, out, err = codex("policy", "explain", URL, "--verb", "write", cwd=project)
    assert (code, err) == (77, "")
    assert out == (
        f"refused: no rule allows write of {URL} for stage 'cli'; rule 'models' allows only read\n"
        "this rule in codex.toml would allow it:\n"
        "\n"
        "[[policy.allow]]\n"
        'id = "models-example-443"\n'
        f'url = "{URL}"\n'
        'verbs = ["write"]\n'
        'stages = ["cli"]\n'
        'reason = "why this endpoint is needed"\n'
    )


@pytest.mark.parametrize(
    ("words", "code", "note"),
    [
        (
            ("https://models.example/x/%2e%2e/a",),
            0,
            (
                "the proxy in a seal does not take this spelling: the path of 'https://models.example/x/%2e%2e/a' has"
                " dot segments; a program asks for https://models.example:443/a"
            ),
        ),
        (
            (URL, "--stage", "hello"),
            0,
            (
                "only the stages of codex-connectors check a read over https themselves; any other program hides it"
                " in TLS, and needs a rule with the verb connect: codex policy explain https://models.example:443/"
                " --verb connect --stage hello"
            ),
        ),
        (
            ("https://tunnel.example/a", "--stage", "hello"),
            77,
            (
                "a program gets there all the same: rule 'tunnel' grants it a tunnel to https://tunnel.example:443,"
                " which hides verb and path"
            ),
        ),
        (
            ("http://127.0.0.1:8740/a", "--stage", "hello"),
            0,
            (
                "no program gets there: loopback is not asked of the proxy, and a door takes a rule that names"
                " 127.0.0.1 itself"
            ),
        ),
        ((URL, "--verb", "connect", "--stage", "helo"), 77, "there is no stage 'helo' here; did you mean 'hello'?"),
    ],
)
def test_policy_explain_says_where_a_program_gets_another_answer(
    codex: Codex, project: Path, words: tuple[str, ...], code: int, note: str
) -> None:
    (project / "more.toml").write_text(MORE)
    command = ("policy", "explain", *words, "--policy", "more.toml")
    done, out, err = codex(*command, cwd=project)
    assert (done, out.splitlines()[-1], err) == (code, note, "")
    assert json.loads(codex(*command, "--json", cwd=project)[1])["notes"] == [note]


def test_policy_explain_works_without_a_project_and_allows_nothing(codex: Codex) -> None:
    code, out, err = codex("policy", "explain", URL, "--json")
    answer = json.loads(out)
    assert (code, err, answer["exit"], answer["errors"]) == (77, "", 77, [])
    assert sorted(answer["decision"]) == sorted(
        ("verdict", "rule", "reason", "remedy", "url", "verb", "stage", "policy", "enforced_by")
    )
    assert (answer["decision"]["verdict"], answer["decision"]["rule"]) == ("refuse", None)


def test_policy_explain_refuses_an_unknown_verb(codex: Codex) -> None:
    assert codex("policy", "explain", URL, "--verb", "fetch") == (
        2,
        "",
        "codex: there is no verb 'fetch'; use one of read, list, write, delete, connect\n",
    )


def test_policy_explain_shows_every_mistake_of_the_file(codex: Codex, project: Path) -> None:
    (project / "codex.toml").write_text(POLICY.replace("verbs", "verb"))
    code, out, err = codex("policy", "explain", URL, cwd=project)
    assert (code, out) == (2, "")
    assert "codex.toml:8:1: " in err


def test_ledger_show_is_a_table(codex: Codex, ledger: Path, project: Path) -> None:
    table = (
        "entry  time (UTC)           verdict  verb  stage  rule    url\n"
        "1      2026-05-04 12:30:00  allow    read  train  models  https://models.example:443/a\n"
        "2      2026-05-04 12:30:00  refuse   read  train  -       https://other.example:443/b\n"
    )
    assert codex("ledger", "show", cwd=project) == (0, table, "")


def test_ledger_show_takes_the_last_of_a_verdict(codex: Codex, ledger: Path) -> None:
    code, out, _ = codex("ledger", "show", str(ledger), "--verdict", "allow", "--last", "1", "--json")
    (entry,) = json.loads(out)["entries"]
    assert (code, entry["seq"], entry["kind"], entry["body"]["url"]) == (0, 1, "decision", URL)
    code, out, _ = codex("ledger", "show", str(ledger), "--last", "1", "--json")
    assert [entry["seq"] for entry in json.loads(out)["entries"]] == [2]


def test_ledger_show_refuses_an_unknown_verdict(codex: Codex, ledger: Path) -> None:
    assert codex("ledger", "show", str(ledger), "--verdict", "maybe") == (
        2,
        "",
        "codex: there is no verdict 'maybe'; use allow or refuse\n",
    )


def test_ledger_verify_counts_entries_and_names_the_head(codex: Codex, ledger: Path, project: Path) -> None:
    head = json.loads(ledger.read_text().splitlines()[-1])["hash"]
    assert codex("ledger", "verify", cwd=project) == (0, f"{ledger}: 2 entries\nhead {head}\nthe chain holds\n", "")
    assert codex("ledger", "verify", str(ledger), "--json") == (
        0,
        json.dumps(
            {"schema": "codex.ledger.verify/1", "exit": 0, "errors": [], "entries": 2, "head": head, "bad_line": None}
        )
        + "\n",
        "",
    )


def test_ledger_verify_tells_of_damaged_lines_that_were_marked(codex: Codex, ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes()[:-5])
    Ledger(ledger).append("note", {}, at=datetime(2026, 1, 1, tzinfo=UTC))
    code, out, err = codex("ledger", "verify", str(ledger))
    assert (code, err) == (0, "")
    assert out.endswith("the chain holds; 1 of the entries mark damaged lines before them\n")


def test_a_ledger_whose_end_was_cut_lacks_what_a_record_names(codex: Codex, tmp_path: Path) -> None:
    root = tmp_path / "cut"
    root.mkdir()
    command = "getent hosts a.example; getent hosts b.example; echo > o"
    (root / "codex.toml").write_text(f'[pipeline]\nname = "p"\n[stages.s]\ncommand = "{command}"\noutputs = ["o"]\n')
    assert codex("run", cwd=root)[0] == 0
    assert codex("ledger", "verify", cwd=root)[0] == 0
    ledger = root / ".codex/ledger.ndjson"
    lines = ledger.read_bytes().splitlines(keepends=True)
    ledger.write_bytes(lines[0])
    code, out, err = codex("ledger", "verify", "--json", cwd=root)
    assert (code, json.loads(out)["entries"], json.loads(out)["bad_line"]) == (4, 1, 2)
    assert err == (
        f"{ledger}: the record of stage 's' knows an entry 2, and there are 1 here; entries were cut off, or the chain"
        " was written anew\n"
    )
    Ledger(ledger).append("note", {}, at=datetime(2026, 1, 1, tzinfo=UTC))
    code, _, err = codex("ledger", "verify", str(ledger))
    assert code == 4
    assert "and it is another one here" in err
    ledger.unlink()
    code, _, err = codex("ledger", "verify", cwd=root)
    assert code == 4
    assert "knows an entry 2, and there are 0 here" in err


def test_damaged_ledger_ends_with_4_and_its_first_bad_line(codex: Codex, ledger: Path) -> None:
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text(lines[0] + lines[1].replace("refuse", "allowed"))
    code, out, err = codex("ledger", "verify", str(ledger), "--json")
    answer = json.loads(out)
    assert (code, answer["exit"], answer["entries"], answer["bad_line"]) == (4, 4, 1, 2)
    assert (answer["errors"][0]["code"], answer["errors"][0]["line"]) == ("ledger.damaged", 2)
    assert err.startswith(f"{ledger}:2: the chain does not hold: ")
    code, out, err = codex("ledger", "show", str(ledger), "--json")
    assert (code, len(json.loads(out)["entries"])) == (4, 1)
    assert "2" in err


def test_project_without_decisions_has_an_empty_ledger(codex: Codex, project: Path) -> None:
    assert codex("ledger", "show", cwd=project) == (0, "no entries\n", "")
    assert codex("ledger", "verify", "--json", cwd=project) == (
        0,
        '{"schema": "codex.ledger.verify/1", "exit": 0, "errors": [], "entries": 0, "head": null, "bad_line": null}\n',
        "",
    )


def test_ledger_that_is_not_there_is_a_usage_error(codex: Codex, tmp_path: Path) -> None:
    assert codex("ledger", "verify", "nowhere.ndjson") == (
        2,
        "",
        "codex: there is no ledger at nowhere.ndjson; name the ledger.ndjson of a state folder\n",
    )
    assert codex("ledger", "show", str(tmp_path)) == (
        2,
        "",
        f"codex: {tmp_path} is a folder, not a ledger; name the ledger.ndjson of a state folder\n",
    )
    own = tmp_path / "state/codex/ledger.ndjson"
    code, _, err = codex("ledger", "show", env={"XDG_STATE_HOME": str(tmp_path / "state")})
    absent = f"there is no codex.toml in {tmp_path / 'work'} or above, and no ledger at {own}"
    assert (code, err) == (2, f"codex: {absent}; name a ledger: a FILE after the command\n")


def test_outside_a_project_the_ledger_is_the_user_s_own(codex: Codex, tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    look = "import socket; socket.getaddrinfo('h.example', 443)"
    assert codex("sealed", "--require-guard", "python", "--", sys.executable, "-c", look, env=state)[0] == 1
    assert "https://h.example:443/" in codex("ledger", "show", env=state)[1]
    assert codex("ledger", "verify", env=state)[1].startswith(f"{tmp_path}/state/codex/ledger.ndjson: 1 entr")


def test_run_plan_and_status_agree(codex: Codex, project: Path) -> None:
    stale = {"name": "hello", "state": "stale", "why": ["it has no record of a finished run"], "outputs": {}}
    assert codex("plan", "--check", cwd=project)[0] == 3
    assert json.loads(codex("plan", "--json", cwd=project)[1])["stages"] == [stale]
    code, out, err = codex("run", str(project), "--json")
    assert (code, err, json.loads(out)["stages"][0]["state"]) == (0, "", "ran")
    assert codex("plan", "--check", str(project / "codex.toml"))[0] == 0
    for words in (("run",), ("plan",), ("status",)):
        (stage,) = json.loads(codex(*words, "--json", cwd=project)[1])["stages"]
        assert (stage["name"], stage["state"], list(stage["outputs"])) == ("hello", "fresh", ["hello.txt"])


@pytest.mark.parametrize("words", [("--force",), ("--force", "hello"), ("--force=hello",), ("--force", "./")])
def test_forced_stage_runs_again(codex: Codex, project: Path, words: tuple[str, ...]) -> None:
    codex("run", cwd=project)
    code, out, _ = codex("run", *words, "--json", cwd=project)
    assert (code, json.loads(out)["stages"][0]["state"]) == (0, "ran")


def test_folder_taken_for_a_stage_is_explained(codex: Codex, project: Path) -> None:
    (project / "inner").mkdir()
    (project / "inner/codex.toml").write_text(POLICY)
    assert codex("run", "--force", "inner", cwd=project) == (
        2,
        "",
        "codex: there is no stage 'inner'; to force every stage of the pipeline in inner, write --force ./inner\n",
    )


def test_level_that_cannot_be_had_ends_with_78(project: Path) -> None:
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh", sys.executable, "-m", "codex_cli"]
    words += ["run", "--require-guard", "kernel", "--json"]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["errors"][0]["code"]) == (78, "guard.unavailable")
    assert done.stderr.startswith(
        "codex: guard level 'kernel' is required and cannot be had here: kernel (unshare: ENOSPC"
    )
    assert not (project / ".codex").exists()


def test_file_with_mistakes_ends_with_2_and_all_of_them(codex: Codex, project: Path) -> None:
    (project / "codex.toml").write_text(POLICY.replace("outputs =", "output =").replace("verbs", "verb"))
    code, out, err = codex("run", cwd=project)
    assert (code, out) == (2, "")
    places = [line.partition(": ")[0] for line in err.splitlines()]
    assert places == ["codex.toml:5:10", "codex.toml:8:1", "codex.toml:13:1"]
