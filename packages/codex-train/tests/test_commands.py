"""``codex train``: start, resume, list and show, with their exit codes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import typer.main

from codex_core.command import Reply
from codex_core.errors import ConfigError, InexactResume, LossNotFinite, PluginUnknown, RunLocked, UsageError
from codex_train import Run
from codex_train.command_list import COMMANDS
from codex_train.commands import app
from codex_train.run_folder import RunFolder

_SMALL = "steps=6 save_every=2 batch_size=2 context=8 layers=1 width=8 heads=1 warm_up=1"
SMALL = [word for value in _SMALL.split() for word in ("-P", value)]


def codex(*words: str | Path) -> Reply:
    reply = typer.main.get_command(app).main([str(word) for word in words], standalone_mode=False)
    assert isinstance(reply, Reply)
    json.dumps(reply.body, allow_nan=False)
    return reply


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data, in an empty working folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(4):
        (folder / str(number)).write_bytes(b"a line of text\n" * (number + 4))
    monkeypatch.chdir(tmp_path)
    return folder


def interrupt_at(step: int, monkeypatch: pytest.MonkeyPatch, number: int = signal.SIGTERM) -> None:
    """Send a signal to this process when ``step`` is logged."""
    real = Run.log

    def log(self: Run, **values: Any) -> None:  # Any: as Run.log has it
        real(self, **values)
        if self.step == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(Run, "log", log)


def test_every_command_is_listed_and_explains_itself() -> None:
    group = typer.main.get_command(app)
    assert {leaf.name: leaf.app for leaf in COMMANDS.leaves} == dict.fromkeys(
        ("train start", "train resume", "train list", "train show"), "codex_train.commands:app"
    )
    context = typer.Context(group)
    for leaf in COMMANDS.leaves:
        command: Any = group  # Any: click's groups and commands
        for word in leaf.name.split():
            command = command.get_command(context, word)
        assert command.help
        assert "--json" in [option for param in command.params for option in param.opts]


def test_start_trains_and_says_where_the_model_is(data: Path) -> None:
    reply = codex("train", "start", "--data", data, "--dir", "run", "--seed", "7", *SMALL)
    model = Path("run").absolute() / "model"
    assert (reply.exit, reply.errors) == (0, ())
    assert reply.text == f"run: finished after step 6; the model is in {model}"
    run: Any = reply.body["run"]  # Any: JSON
    assert (run["state"], run["step"], run["task"], run["model"]) == ("finished", 6, "lm", "run/model")
    assert (run["checkpoints"], run["identity"]["made_from"]["seed"]) == ([2, 4, 6], 7)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_resumed_to_the_same_model(
    number: int, status: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codex("train", "start", "--data", data, "--dir", "whole", *SMALL)
    with monkeypatch.context() as patched:
        interrupt_at(3, patched, number)
        reply = codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    (problem,) = reply.errors
    assert (reply.exit, problem.code, problem.hint) == (status, "run.interrupted", "codex train resume run")
    assert problem.message == f"run: {signal.Signals(number).name} ended the run after step 3, which is saved"
    assert codex("train", "resume", "run").exit == 0
    for name in ("model.safetensors", "config.json", "manifest.json"):
        assert Path("run/model", name).read_bytes() == Path("whole/model", name).read_bytes()


def test_an_inexact_resume_is_refused_unless_it_is_allowed_and_recorded(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(3, monkeypatch)
    codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    (data / "0").write_bytes(b"changed\n" * 9)
    with pytest.raises(InexactResume, match=r"run would not go on to the same bits: data: sha256:\w+ -> sha256:\w+;"):
        codex("train", "resume", "run")
    reply = codex("train", "resume", "run", "--allow-inexact")
    assert reply.exit == 0
    assert "after step 3: data: sha256:" in codex("train", "show", "run").text


def test_a_run_in_use_is_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    with RunFolder(Path("run").absolute()).lock():
        with pytest.raises(RunLocked, match=rf"\(pid {os.getpid()}\)"):
            codex("train", "resume", "run")
        assert f"finished (pid {os.getpid()})" in codex("train", "show", "run").text


def test_a_loss_that_is_not_finite_fails_with_its_batch(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.functional.cross_entropy", lambda logits, *_, **__: logits.sum() * float("nan"))
    with pytest.raises(
        LossNotFinite, match=r"the loss of step 1 is nan: epoch 0, batch 0, examples \d+, \d+; going on from the beg"
    ):
        codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    rows = dict(line.split(maxsplit=1) for line in codex("train", "show", "run").text.splitlines())
    assert rows["state"] == "failed"
    assert rows["reason"].startswith("the loss of step 1 is nan: epoch 0, batch 0, examples ")


def test_a_killed_run_is_shown_as_killed(data: Path) -> None:
    codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    file = Path("run/run.json")
    file.write_text(file.read_text().replace('"finished"', '"running"'))
    assert "state        killed\n" in codex("train", "show", "run").text


def test_list_shows_the_runs_below_a_folder_and_show_one(data: Path) -> None:
    assert codex("train", "list").text == "there are no runs below runs; name a folder: codex train list DIR"
    for name in ("runs/b", "runs/deep/a"):
        codex("train", "start", "--data", data, "--dir", name, *SMALL, "--threads", "1")
    Path("runs/deep/a/checkpoints/run.json").write_text("not looked at: a run holds no runs")
    Path("runs/else").mkdir()
    Path("runs/else/run.json").write_text("{}")
    reply = codex("train", "list", "--json")
    runs: Any = reply.body["runs"]  # Any: JSON
    assert [(run["path"], run["state"], run["task"], run["step"], run["steps"]) for run in runs] == [
        ("runs/b", "finished", "lm", 6, 6),
        ("runs/deep/a", "finished", "lm", 6, 6),
    ]
    assert reply.text.splitlines() == [
        f"runs/b       finished  6/6  loss {runs[0]['loss']:.4f}",
        f"runs/deep/a  finished  6/6  loss {runs[1]['loss']:.4f}",
    ]
    assert codex("train", "list", "runs/deep").body["runs"] == runs[1:]
    shown = codex("train", "show", "runs/b")
    assert {"run          runs/b", "state        finished", "seed         0"} <= set(shown.text.splitlines())


def test_the_runs_of_the_nearest_project_are_listed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("codex.toml").write_text("[pipeline]\nname = 'p'\n")
    codex("train", "start", "--data", data, "--dir", ".codex/runs/train/a", *SMALL)
    monkeypatch.chdir(data)
    runs: Any = codex("train", "list").body["runs"]  # Any: JSON
    assert [run["path"] for run in runs] == [str(data.parent / ".codex/runs/train/a")]


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        ("start --data data --dir new -P steps", UsageError, "'steps' is no parameter"),
        ("start --data data --dir new -P stepz=3", ConfigError, "unknown key 'stepz' in the parameters of 'lm'"),
        (
            "start --data data --dir new --threads 0",
            ConfigError,
            "'threads' in the parameters of 'lm' must be at least 1",
        ),
        ("start --data data --dir new --task chess", PluginUnknown, "no task 'chess' is installed"),
        ("start --data nothing --dir new", ConfigError, "there is no data: "),
        ("start --data empty --dir new", ConfigError, "there is no data: "),
        (
            "start --data data --dir new -P batch_size=999",
            ConfigError,
            "a batch of 999 examples is larger than the data",
        ),
        ("start --data data --dir data", ConfigError, "is no run and holds '0' already"),
        ("resume data", ConfigError, "data is no run: it has no run.json"),
        ("show nothing", ConfigError, "nothing is no run: it has no run.json"),
        ("list nothing", UsageError, "nothing is no folder"),
    ],
)
def test_wrong_words_and_wrong_data_are_told_and_overwrite_nothing(
    words: str, error: type[ConfigError], told: str, data: Path
) -> None:
    Path("empty").mkdir()
    before = sorted(path.name for path in data.iterdir())
    with pytest.raises(error) as caught:
        codex("train", *words.split())
    assert told in str(caught.value)
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in data.iterdir()) == before
    assert not Path("new", "run.json").exists()


def test_a_run_is_not_started_over_another_and_a_scripts_run_is_not_resumed(data: Path) -> None:
    codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    with pytest.raises(UsageError, match="run holds a run already; codex train resume run"):
        codex("train", "start", "--data", data, "--dir", "run", *SMALL)
    with Run("script") as run:
        for _ in run.batches([1, 2], batch_size=1):
            run.log(loss=0.5)
    with pytest.raises(UsageError, match="script is the run of a script; start that script again"):
        codex("train", "resume", "script")


def test_values_are_those_of_toml_or_text() -> None:
    from codex_train.train_commands import _pair

    assert [_pair(given) for given in ("a=1", "a=0.5", "a=true", "a=[1]", "a=text", "a=", "a=b=c")] == [
        ("a", 1),
        ("a", 0.5),
        ("a", True),
        ("a", [1]),
        ("a", "text"),
        ("a", ""),
        ("a", "b=c"),
    ]
