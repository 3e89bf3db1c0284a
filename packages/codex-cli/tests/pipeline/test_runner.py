from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_cli.pipeline.file import read_pipeline
from codex_cli.pipeline.records import read_record
from codex_cli.pipeline.reports import PipelineReport
from codex_cli.pipeline.runner import RunOptions
from codex_core.digest import digest_path
from codex_core.errors import GuardUnavailable, RunLocked, StorageError, UsageError
from codex_core.ledger import Ledger, verify
from codex_core.offline import levels

if TYPE_CHECKING:
    from conftest import Project

MakeProject = Callable[[dict[str, str]], "Project"]

CHAIN = """
    [pipeline]
    name = "chain"
    seed = 7

    [stages.total]
    command = "cat parts/a parts/b > total"
    inputs = ["parts"]
    outputs = ["total"]

    [stages.parts]
    command = "mkdir parts && sed s/x/$CODEX_SEED/ source > parts/a && echo $CODEX_STAGE > parts/b"
    inputs = ["source"]
    outputs = ["parts"]
"""


def states(report: PipelineReport) -> dict[str, str]:
    return {stage.name: stage.state for stage in report.stages}


def why(report: PipelineReport, stage: str) -> tuple[str, ...]:
    return next(found.why for found in report.stages if found.name == stage)


def test_stages_run_in_the_order_of_their_inputs_and_publish_what_they_wrote(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    report = chain.run()
    assert (report.exit, states(report)) == (0, {"parts": "ran", "total": "ran"})
    assert (chain.root / "total").read_text() == "7\nparts\n"
    outputs = {name: digest for stage in report.stages for name, digest in stage.outputs.items()}
    assert outputs == {name: digest_path(chain.root / name) for name in ("parts", "total")}


def test_a_second_run_finds_everything_fresh_and_touches_nothing(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    before = (chain.root / "total").stat().st_ino
    report = chain.run()
    assert states(report) == {"parts": "fresh", "total": "fresh"}
    assert (chain.root / "total").stat().st_ino == before


def test_a_stage_behind_a_rerun_that_changed_nothing_stays_fresh(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    report = chain.run(RunOptions(force=("parts",)))
    assert states(report) == {"parts": "ran", "total": "fresh"}


@pytest.mark.parametrize(
    ("change", "stage", "reason"),
    [
        ({"source": "xx\n"}, "parts", "input 'source' changed"),
        ({"parts/a": "edited"}, "parts", "output 'parts' was changed since it was made"),
        ({"codex.toml": CHAIN.replace("seed = 7", "seed = 8")}, "parts", "seed: 7 -> 8"),
        ({"codex.toml": CHAIN.replace("> total", ">  total")}, "total", "it was 'command cat parts/a parts/b > total'"),
    ],
)
def test_a_plan_says_why_a_stage_is_stale(
    project: MakeProject, change: dict[str, str], stage: str, reason: str
) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    chain.write(change)
    report = chain.plan()
    assert reason in why(report, stage)
    assert states(chain.run())[stage] == "ran"
    assert states(chain.plan()) == {"parts": "fresh", "total": "fresh"}


def test_a_plan_and_a_status_write_nothing(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    assert states(chain.plan()) == {"parts": "stale", "total": "stale"}
    assert states(chain.status()) == {"parts": "stale", "total": "stale"}
    assert sorted(item.name for item in chain.root.iterdir()) == ["codex.toml", "source"]


def test_a_missing_output_is_made_again(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    (chain.root / "total").unlink()
    assert why(chain.plan(), "total") == ("output 'total' is missing",)
    assert states(chain.run()) == {"parts": "fresh", "total": "ran"}


def test_a_failing_command_ends_the_run_with_1_its_log_and_the_rest_skipped(project: MakeProject) -> None:
    text = CHAIN.replace("mkdir parts &&", "echo trouble; exit 3;")
    chain = project({"codex.toml": text, "source": "x\n"})
    report = chain.run()
    assert (report.exit, states(report)) == (1, {"parts": "failed", "total": "skipped"})
    failed = report.stages[0]
    assert failed.log == ("trouble",)
    assert failed.why == ("stage 'parts' ended with exit status 3",)
    assert (chain.root / ".codex/logs/parts.log").read_text() == "trouble\n"
    assert states(chain.status()) == {"parts": "failed", "total": "stale"}
    assert not (chain.root / "parts").exists()


def test_a_failure_leaves_the_last_good_output_in_place(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    chain.write({"codex.toml": CHAIN.replace("cat parts/a parts/b > total", "echo half > total; exit 1")})
    assert chain.run().exit == 1
    assert (chain.root / "total").read_text() == "7\nparts\n"


def test_a_stage_sees_only_its_declared_inputs(project: MakeProject) -> None:
    text = """
        [pipeline]
        name = "p"
        [stages.look]
        command = "ls > seen"
        inputs = ["one"]
        outputs = ["seen"]
    """
    made = project({"codex.toml": text, "one": "", "two": ""})
    made.run()
    assert (made.root / "seen").read_text() == "one\nseen\n"


def test_a_foreign_file_in_the_place_of_an_output_is_never_overwritten(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n", "total": "mine"})
    report = chain.run()
    assert (report.exit, states(report)) == (1, {"parts": "ran", "total": "failed"})
    assert "did not make it" in report.stages[1].why[0]
    assert (chain.root / "total").read_text() == "mine"


def test_only_one_stage_is_run_when_asked(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    assert states(chain.run(RunOptions(only=("parts",)))) == {"parts": "ran", "total": "skipped"}
    report = chain.run(RunOptions(only=("parts", "total")))
    assert states(report) == {"parts": "fresh", "total": "ran"}


@pytest.mark.parametrize("options", [RunOptions(only=("partz",)), RunOptions(force=("partz",)), RunOptions(jobs=0)])
def test_options_that_name_nothing_are_usage_errors(project: MakeProject, options: RunOptions) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    with pytest.raises(UsageError):
        chain.run(options)
    assert not (chain.root / ".codex").exists()


def test_a_guard_level_that_cannot_be_had_is_said_before_anything_runs(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(flags: int) -> None:
        raise OSError(errno.EPERM, "forbidden")

    monkeypatch.setattr("codex_core.offline.linux.unshare", refuse)
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    with pytest.raises(GuardUnavailable, match="unshare: EPERM") as caught:
        chain.run(RunOptions(require_guard="kernel"))
    assert caught.value.exit_code == 78
    assert not (chain.root / ".codex").exists()


@pytest.mark.parametrize("level", ["kernel", "nosocket", "python"])
def test_the_report_and_the_record_say_the_level_that_was_enforced(
    project: MakeProject, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    way = getattr(levels, level.upper())
    monkeypatch.setattr(levels, "start_highest", lambda required, start: (start(way), []))
    steps = "import os\n\ndef f(ctx, params):\n    ctx.outputs[0].write_text(os.environ['CODEX_GUARD'])\n"
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:f"\noutputs = ["f"]\n'
    made = project({"codex.toml": text, "steps.py": steps})
    assert made.run().guard == level
    assert (made.root / "f").read_text() == level
    record = read_record(made.root / ".codex/records/f.json")
    assert record is not None
    seen = record.observed["attestation"]
    network = {"interfaces": ["lo"], "routes": [], "attempts": 0} if level == "kernel" else {}
    nothing = {"interfaces": None, "routes": None, "attempts": None}
    ledger = {"ledger_entries": 0, "ledger_head": None}
    policy = read_pipeline(made.root / "codex.toml").policy.digest
    assert seen == {"guard": level, "policy": policy, **ledger, **nothing, **network}
    handed = record.observed["descriptors"]
    assert isinstance(handed, list)
    log, job, result = handed
    assert log == str(made.root / ".codex/logs/f.log")
    assert ("memfd:job" in job, "memfd:result" in result) == (True, True)


def test_stages_that_do_not_need_one_another_run_side_by_side(project: MakeProject) -> None:
    meet = "mkfifo {0} 2>/dev/null; touch $M/{0}; while [ ! -e $M/{1} ]; do :; done; rm -f {0}; echo met > {0}"
    text = f"""
        [pipeline]
        name = "p"
        [stages.a]
        command = "{meet.format("a", "b")}"
        outputs = ["a"]
        [stages.b]
        command = "{meet.format("b", "a")}"
        outputs = ["b"]
    """
    made = project({"codex.toml": text})
    os.environ["M"] = str(made.root)
    (made.root / "meeting").mkdir()
    os.environ["M"] = str(made.root / "meeting")
    try:
        report = made.run(RunOptions(jobs=2))
    finally:
        del os.environ["M"]
    assert states(report) == {"a": "ran", "b": "ran"}


def test_a_stage_that_leaves_a_process_behind_does_not_keep_it(project: MakeProject) -> None:
    text = """
        [pipeline]
        name = "p"
        [stages.a]
        command = "setsid sleep 1000 & echo $! > pid"
        outputs = ["pid"]
    """
    made = project({"codex.toml": text})
    assert states(made.run()) == {"a": "ran"}
    assert _left(made) == []


def test_two_runs_at_once_are_refused_with_the_holder_s_pid(project: MakeProject) -> None:
    slow = CHAIN.replace("mkdir parts &&", "touch started; while [ -e started ]; do sleep 0.01; done; mkdir parts &&")
    chain = project({"codex.toml": slow, "source": "x\n"})
    with chain.start("run") as process:
        started = _wait_for(chain, "started")
        with pytest.raises(RunLocked, match=f"pid {process.pid}"):
            chain.run()
        assert chain.status().holder == process.pid
        started.unlink()
        process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_stage_and_then_the_run(project: MakeProject, number: int, code: int) -> None:
    slow = CHAIN.replace("mkdir parts &&", "touch started; sleep 1000;")
    chain = project({"codex.toml": slow, "source": "x\n"})
    with chain.start("run", "--json") as process:
        _wait_for(chain, "started")
        process.send_signal(number)
        out, _ = process.communicate()
    assert process.returncode == code
    shown = json.loads(out)
    assert [stage["state"] for stage in shown["stages"]] == ["failed", "skipped"]
    assert shown["exit"] == code
    chain.write({"codex.toml": CHAIN})
    assert states(chain.run()) == {"parts": "ran", "total": "ran"}


@pytest.mark.parametrize("who", ["keeper", "runner"])
def test_a_killed_run_takes_its_stages_with_it_and_needs_no_unlocking(project: MakeProject, who: str) -> None:
    slow = CHAIN.replace("mkdir parts &&", "setsid sleep 1000 & touch started; exec sleep 1000;")
    chain = project({"codex.toml": slow, "source": "x\n"})
    with chain.start("run") as process:
        _wait_for(chain, "started")
        os.kill(process.pid if who == "keeper" else _holder(chain.root / ".codex/lock"), signal.SIGKILL)
        process.communicate()
    assert process.returncode == (-9 if who == "keeper" else 137)
    deadline = time.monotonic() + 10
    while _left(chain) and time.monotonic() < deadline:
        os.sched_yield()
    assert _left(chain) == []
    chain.write({"codex.toml": CHAIN})
    assert states(chain.plan()) == {"parts": "stale", "total": "stale"}
    assert states(chain.run()) == {"parts": "ran", "total": "ran"}
    assert list((chain.root / ".codex/staging").iterdir()) == []


def test_outputs_that_cannot_be_published_fail_their_stage_and_leave_no_process(project: MakeProject) -> None:
    text = """
        [pipeline]
        name = "p"
        [stages.slow]
        command = 'sleep 1000 & echo $! > pid; cp pid "$M"; wait'
        outputs = ["pid"]
        [stages.blocked]
        command = 'until [ -s "$M" ]; do :; done; mkdir -p d; echo o > d/o'
        outputs = ["d/o"]
    """
    made = project({"codex.toml": text, "d": "a file in the way"})
    with made.start("run", "--jobs", "2", "--json", M=str(made.root / "noted")) as process:
        noted = made.root / "noted"
        while not (noted.exists() and noted.read_text()):
            assert process.poll() is None
        deadline = time.monotonic() + 20
        while not (made.root / ".codex/records/blocked.failed.json").exists():
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    shown = json.loads(out)
    assert {stage["name"]: stage["state"] for stage in shown["stages"]} == {"slow": "failed", "blocked": "failed"}
    assert (made.root / "d").read_text() == "a file in the way"
    assert _left(made) == []


@pytest.mark.parametrize("ending", ["os._exit(0)", "os._exit(3)", "os.abort()"])
def test_a_python_stage_that_ends_before_it_can_say_so_has_failed(project: MakeProject, ending: str) -> None:
    steps = f"import os\n\ndef f(ctx, params):\n    ctx.outputs[0].write_text('x')\n    {ending}\n"
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:f"\noutputs = ["f"]\n'
    made = project({"codex.toml": text, "steps.py": steps})
    report = made.run()
    assert (report.exit, states(report)) == (1, {"f": "failed"})
    assert not (made.root / "f").exists()


@pytest.mark.parametrize(("code", "state"), [("0", "ran"), ("None", "ran"), ("1", "failed"), ("'why'", "failed")])
def test_a_python_stage_may_end_itself(project: MakeProject, code: str, state: str) -> None:
    steps = f"import sys\n\ndef f(ctx, params):\n    ctx.outputs[0].write_text('x')\n    sys.exit({code})\n"
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:f"\noutputs = ["f"]\n'
    assert states(project({"codex.toml": text, "steps.py": steps}).run()) == {"f": state}


def test_what_a_stage_throws_away_goes_to_a_folder_of_its_own(project: MakeProject) -> None:
    command = 'touch "$TMPDIR/x"; ls ../scratch > o; echo "$TMPDIR" >> o'
    text = f'[pipeline]\nname = "p"\n[stages.f]\ncommand = {command!r}\noutputs = ["o"]\n'
    made = project({"codex.toml": text})
    assert states(made.run()) == {"f": "ran"}
    assert (made.root / "o").read_text() == "x\n/run/codex/tmp\n"
    assert list((made.root / ".codex/staging").iterdir()) == []


def test_a_run_opens_no_descriptor_that_it_does_not_close(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        chain.run(RunOptions(force_all=True))
        (chain.root / ".codex/logs/parts.log").unlink()
        (chain.root / ".codex/logs/parts.log").mkdir()
        assert chain.run(RunOptions(force=("parts",))).exit == 1
        (chain.root / ".codex/logs/parts.log").rmdir()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_refresh_reads_remote_sources_again(project: MakeProject) -> None:
    text = """
        [pipeline]
        name = "p"
        [stores.far]
        url = "s3://far"
        endpoint = "https://far.example:9000"
        fallbacks = ["near"]
        [stores.near]
        url = "file:near"
        [stages.pull]
        uses = "connectors.pull"
        with = { from = "store://far", fallback = true }
        outputs = ["data"]
    """
    made = project({"codex.toml": text, "near/a": "one"})
    assert states(made.run()) == {"pull": "ran"}
    assert states(made.run()) == {"pull": "fresh"}
    assert why(made.run(RunOptions(refresh=True)), "pull") == (
        "store 'store://far' is read again",
        "the policy refused 1 of its requests (codex ledger show)",
    )
    made.write({"near/a": "two"})
    assert why(made.plan(), "pull") == ("store 'store://near' changed",)
    made.run()
    assert (made.root / "data/a").read_text() == "two"


def test_a_run_killed_between_publication_and_record_is_stale_and_not_foreign(project: MakeProject) -> None:
    """The state that a kill leaves there: outputs published, the announcement, no record."""
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    records = chain.root / ".codex/records"
    (records / "total.publishing.json").write_text('{"outputs":["total"]}')
    (records / "total.json").unlink()
    assert states(chain.plan()) == {"parts": "fresh", "total": "stale"}
    assert states(chain.run()) == {"parts": "fresh", "total": "ran"}
    assert not (records / "total.publishing.json").exists()


def test_a_damaged_record_is_stale_and_never_fresh(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    chain.run()
    record = chain.root / ".codex/records/parts.json"
    whole = record.read_bytes()
    for cut in range(0, len(whole) - 1, 7):
        record.write_bytes(whole[:cut])
        assert states(chain.plan())["parts"] == "stale"


def test_a_folder_that_cannot_be_written_is_said_with_the_reason(project: MakeProject) -> None:
    chain = project({"codex.toml": CHAIN, "source": "x\n"})
    (chain.root / ".codex").write_text("a file in the way")
    with pytest.raises(StorageError, match="cannot be made"):
        chain.run()


def test_a_store_that_is_not_there_fails_its_stage_and_a_plan_says_so(project: MakeProject) -> None:
    text = """
        [pipeline]
        name = "p"
        [stores.s]
        url = "file:nowhere"
        [stages.pull]
        uses = "connectors.pull"
        with = { from = "store://s" }
        outputs = ["data"]
    """
    made = project({"codex.toml": text})
    report = made.run()
    assert (report.exit, states(report)) == (1, {"pull": "failed"})
    assert "nowhere does not exist" in report.stages[0].why[0]
    (made.root / "nowhere").mkdir()
    (made.root / "nowhere/a").write_text("a")
    assert states(made.run()) == {"pull": "ran"}
    (made.root / "nowhere/a").unlink()
    (made.root / "nowhere").rmdir()
    assert states(made.plan()) == {"pull": "stale"}
    assert "nowhere does not exist" in why(made.plan(), "pull")[0]


REFUSED = """
    from codex_core.errors import PolicyRefused

    def fetch(ctx, params):
        decision = ctx.decide("read", params["url"])
        if not decision.allowed:
            raise PolicyRefused(decision)
        ctx.outputs[0].write_text("fetched")
"""
FETCH = """
    [pipeline]
    name = "p"
    [stages.fetch]
    uses = "steps:fetch"
    with = { url = "https://a.example/x" }
    outputs = ["x.json", "folder"]
"""


def test_a_refused_stage_ends_the_run_with_77_and_its_remedy(project: MakeProject) -> None:
    made = project({"codex.toml": FETCH, "steps.py": REFUSED})
    report = made.run()
    assert (report.exit, states(report)) == (77, {"fetch": "refused"})
    refusal = report.stages[0].refusal
    assert refusal is not None
    assert refusal.url == "https://a.example:443/x"
    assert "[[policy.allow]]" in (refusal.remedy or "")
    assert verify(made.root / ".codex/ledger.ndjson").bad_line is None
    assert Ledger(made.root / ".codex/ledger.ndjson").head()[0] == 1


def test_a_recorded_refusal_is_the_stage_s_output_and_fresh_until_the_policy_answers_otherwise(
    project: MakeProject,
) -> None:
    recorded = FETCH + 'on_refusal = "record"\n'
    made = project({"codex.toml": recorded, "steps.py": REFUSED})
    report = made.run()
    assert (report.exit, states(report)) == (0, {"fetch": "ran"})
    shown = json.loads((made.root / "x.json").read_text())
    assert shown["schema"] == "codex.refusal/1"
    assert shown["decision"]["verdict"] == "refuse"
    assert json.loads((made.root / "folder/refusal.json").read_text()) == shown
    assert states(made.run()) == {"fetch": "fresh"}
    rule = '\n[[policy.allow]]\nid = "a"\nurl = "https://a.example:443/**"\nverbs = ["read"]\nexpires = 2026-06-01\n'
    made.write({"codex.toml": recorded + rule})
    assert why(made.plan(), "fetch") == (
        "the policy now answers read of https://a.example:443/x with allow (rule 'a')",
    )


def test_what_a_refused_stage_had_half_written_is_no_output(project: MakeProject) -> None:
    half = REFUSED.replace(
        "        if not decision",
        '        ctx.outputs[0].write_text("half")\n        ctx.outputs[1].mkdir()\n'
        '        (ctx.outputs[1] / "half.csv").write_text("half")\n        if not decision',
    )
    assert half != REFUSED
    made = project({"codex.toml": FETCH + 'on_refusal = "record"\n', "steps.py": half})
    assert states(made.run()) == {"fetch": "ran"}
    assert json.loads((made.root / "x.json").read_text())["schema"] == "codex.refusal/1"
    assert [path.name for path in (made.root / "folder").iterdir()] == ["refusal.json"]


@pytest.mark.parametrize(
    ("error", "code"), [("ConfigError", 2), ("VerificationError", 4), ("RunLocked", 5), ("StorageError", 1)]
)
def test_a_run_ends_with_the_code_of_the_first_stage_that_failed(project: MakeProject, error: str, code: int) -> None:
    steps = f"from codex_core.errors import {error}\ndef fail(ctx, params):\n    raise {error}('it is so')\n"
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:fail"\noutputs = ["f"]\n'
    report = project({"codex.toml": text, "steps.py": steps}).run()
    assert (report.exit, states(report), report.stages[0].why) == (code, {"f": "failed"}, ("it is so",))


def test_what_a_stage_says_of_its_files_names_them_as_the_project_does(project: MakeProject) -> None:
    steps = """
        from codex_core.errors import ConfigError

        def fail(ctx, params):
            raise ConfigError(f"{ctx.inputs[0]} is wrong", hint=f"see {ctx.outputs[0]}")
    """
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:fail"\ninputs = ["in/x"]\noutputs = ["out/f"]\n'
    report = project({"codex.toml": text, "steps.py": steps, "in/x": ""}).run()
    (problem,) = report.stages[0].problems
    assert (problem.message, problem.hint) == ("stage 'f': in/x is wrong", "see out/f")


def test_another_store_behind_a_recorded_refusal_makes_it_stale(project: MakeProject) -> None:
    text = """
        [pipeline]
        name = "p"
        [stores.m]
        url = "s3://models"
        endpoint = "https://a.example:9000"
        fallbacks = ["local"]
        [stores.local]
        url = "file:mirror"
        [stages.pull]
        uses = "connectors.pull"
        with = { from = "store://m/k" }
        outputs = ["out"]
        on_refusal = "record"
    """
    made = project({"codex.toml": text})
    assert states(made.run()) == {"pull": "ran"}
    assert states(made.run()) == {"pull": "fresh"}
    for before, after, told in (
        ("https://a.example:9000", "https://b.example:9000", "table stores.m.endpoint: 'https://a.example:9000' -> "),
        ("s3://models", "s3://other", "table stores.m.url: 's3://models' -> 's3://other'"),
        ('fallbacks = ["local"]', "fallbacks = []", "table stores.m.fallbacks: ['local'] -> []"),
    ):
        made.write({"codex.toml": text.replace(before, after)})
        assert any(reason.startswith(told) for reason in why(made.plan(), "pull")), (told, why(made.plan(), "pull"))
    made.write({"codex.toml": text.replace("file:mirror", "file:elsewhere")})
    assert states(made.plan()) == {"pull": "fresh"}  # where a local store lies is this machine's


def test_the_code_of_a_function_stage_is_its_file(project: MakeProject) -> None:
    write = "def write(ctx, params):\n    ctx.outputs[0].write_text({!r})\n"
    text = '[pipeline]\nname = "p"\n[stages.w]\nuses = "steps:write"\noutputs = ["w"]\n'
    made = project({"codex.toml": text, "steps.py": write.format("one")})
    assert states(made.run()) == {"w": "ran"}
    assert states(made.run()) == {"w": "fresh"}
    made.write({"steps.py": write.format("two")})
    assert why(made.plan(), "w") == ("its code changed",)
    made.run()
    assert (made.root / "w").read_text() == "two"


def test_a_python_stage_that_connects_is_refused_and_recorded_by_the_guard(project: MakeProject) -> None:
    steps = """
        import urllib.request

        def fetch(ctx, params):
            urllib.request.urlopen("http://192.0.2.1/x", timeout=1)
    """
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:fetch"\noutputs = ["f"]\n'
    made = project({"codex.toml": text, "steps.py": steps})
    report = made.run()
    assert (report.exit, states(report)) == (77, {"f": "refused"})
    refusal = report.stages[0].refusal
    assert refusal is not None
    assert (refusal.verb, refusal.stage) == ("connect", "f")
    assert "192.0.2.1" in refusal.url


def test_an_exception_in_a_stage_is_a_failure_with_its_traceback_in_the_log(project: MakeProject) -> None:
    text = '[pipeline]\nname = "p"\n[stages.f]\nuses = "steps:boom"\noutputs = ["f"]\n'
    made = project({"codex.toml": text, "steps.py": "def boom(ctx, params):\n    return 1 / 0\n"})
    report = made.run()
    assert (report.exit, report.stages[0].why) == (1, ("ZeroDivisionError: division by zero",))
    assert "Traceback" in (made.root / ".codex/logs/f.log").read_text()


def test_a_parameter_given_on_the_command_line_is_part_of_what_the_stage_is(project: MakeProject) -> None:
    steps = "def write(ctx, params):\n    ctx.outputs[0].write_text(repr(params['n'] + 1))\n"
    text = '[pipeline]\nname = "p"\n[stages.w]\nuses = "steps:write"\nwith = { n = 1 }\noutputs = ["w"]\n'
    made = project({"codex.toml": text, "steps.py": steps})
    made.run(overrides=["w.n=20"])
    assert (made.root / "w").read_text() == "21"
    assert why(made.plan(), "w") == ("parameter n: 20 -> 1",)


def _left(project: Project) -> list[int]:
    """The processes of the project's stages, by the TMPDIR that each was started with."""
    mark = os.fsencode(f"TMPDIR={project.root}/.codex/staging/")
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


def _holder(lock: Path) -> int:
    """The process that holds the lock, as the kernel sees it: the runner, behind its keeper."""
    inode = str(lock.stat().st_ino)
    (pid,) = (
        line.split()[4]
        for line in Path("/proc/locks").read_text().splitlines()
        if line.split()[5].endswith(f":{inode}")
    )
    return int(pid)


def _wait_for(project: Project, name: str) -> Path:
    """The file of this name in the folder of a stage that is running."""
    deadline = time.monotonic() + 60
    while not (found := list(project.root.glob(f".codex/staging/*/work/{name}"))):
        assert time.monotonic() < deadline, f"{name} did not appear"
        os.sched_yield()
    return found[0]
