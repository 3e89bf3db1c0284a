"""Run, in one process: what it refuses, what it says, and what it leaves."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from codex_core.digest import digest_folder
from codex_core.errors import ConfigError, InexactResume, LossNotFinite, RunLocked
from codex_core.events import Event, read_events
from codex_train import Run, list_checkpoints, read_run
from codex_train.signals import RunInterrupted

DATA = torch.arange(20.0).view(10, 2)


def train(folder: Path, *, until: int | None = None, **options: Any) -> Run:  # Any: whatever Run takes
    with Run(folder, **options) as run:
        model = torch.nn.Linear(2, 1)
        run.track(model=model)
        for _ in run.batches(DATA, batch_size=4, epochs=2):
            run.log(loss=float(run.step))
            if run.step == until:
                break
    return run


def test_the_seed_decides_all_three_generators_and_the_model(tmp_path: Path) -> None:
    import random

    import numpy as np

    def drawn(name: str, seed: int) -> tuple[float, ...]:
        with Run(tmp_path / name, seed=seed):
            return random.random(), float(np.random.random()), torch.nn.Linear(1, 1).weight.item()

    assert drawn("a", 1) == drawn("b", 1)
    assert all(one != other for one, other in zip(drawn("c", 1), drawn("d", 2), strict=True))


def test_a_run_json_says_what_the_run_is_and_how_far_it_came(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_bytes(b"content")
    train(tmp_path / "run", seed=3, task="mine", params={"rate": 0.5}, data=tmp_path / "data", code_digest="sha256:00")
    found = read_run(tmp_path / "run")
    assert (found.state, found.step, found.steps, found.inexact) == ("finished", 6, 6, ())
    assert found.plan == {"examples": 10, "batch_size": 4}
    assert found.identity.made_from == {
        "task": "mine",
        "params": {"rate": 0.5},
        "data": digest_folder(tmp_path / "data"),
        "code": "sha256:00",
        "seed": 3,
    }
    assert found.settings.data == str(tmp_path / "data")
    environment = found.identity.environment
    assert (environment["threads"], environment["deterministic"]) == (1, True)
    assert {"capability", "cpu", "machine", "numpy", "python", "torch"} <= set(environment)


def test_events_hold_a_line_for_each_logged_step(tmp_path: Path) -> None:
    train(tmp_path / "run", clock=lambda: 12.5)
    assert list(read_events(tmp_path / "run" / "events.ndjson")) == [
        Event("start", 0, {}, 12.5),
        *(Event("step", step, {"loss": float(step)}, 12.5) for step in range(1, 7)),
        Event("finish", 6, {}, 12.5),
    ]


def test_batches_are_those_of_the_order_and_the_last_of_an_epoch_is_short(tmp_path: Path) -> None:
    with Run(tmp_path / "run", seed=1) as run:
        found = [batch[:, 0].tolist() for batch in run.batches(DATA, batch_size=4, epochs=2)]
    assert [len(batch) for batch in found] == [4, 4, 2, 4, 4, 2]
    first, second = ([one for batch in half for one in batch] for half in (found[:3], found[3:]))
    assert sorted(first) == sorted(second) == DATA[:, 0].tolist()
    assert first != second


def test_checkpoints_are_kept_as_told(tmp_path: Path) -> None:
    train(tmp_path / "run", save_every=1, keep=2)
    assert [place.name for place in list_checkpoints(tmp_path / "run" / "checkpoints")] == [
        "step-00000005",
        "step-00000006",
    ]


def test_a_checkpoint_is_taken_after_the_loops_body_and_before_the_next_batch(tmp_path: Path) -> None:
    class Counted:
        def __init__(self) -> None:
            self.fetched = self.done = 0

        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> int:
            self.fetched += 1
            return index

        def state_dict(self) -> dict[str, int]:
            return {"fetched": self.fetched, "done": self.done}

        def load_state_dict(self, state: dict[str, int]) -> None:
            vars(self).update(state)

    data = Counted()
    with Run(tmp_path / "run", save_every=2) as run:
        run.track(data=data)
        for _ in run.batches(data, batch_size=1, steps=5):
            data.done += 1
    from codex_train import read_checkpoint

    states = [read_checkpoint(place).states["data"] for place in list_checkpoints(tmp_path / "run" / "checkpoints")]
    assert states == [{"fetched": step, "done": step} for step in (2, 4, 5)]


def test_what_is_logged_after_the_loop_stands_once_however_often_the_script_runs(tmp_path: Path) -> None:
    for _ in range(2):
        with Run(tmp_path / "run") as run:
            for _ in run.batches(DATA, batch_size=5):
                run.log(loss=1.0)
            run.log(accuracy=0.5)
    events = list(read_events(tmp_path / "run" / "events.ndjson"))
    assert [(event.step, dict(event.values)) for event in events if event.kind == "step"] == [
        (1, {"loss": 1.0}),
        (2, {"loss": 1.0}),
        (2, {"accuracy": 0.5}),
    ]


def test_a_loop_that_is_left_is_stopped_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    assert train(tmp_path / "run", until=3, save_every=2, code_digest="sha256:0").step == 3
    assert (read_run(tmp_path / "run").state, read_run(tmp_path / "run").step) == ("stopped", 2)
    said: list[str] = []
    assert train(tmp_path / "run", save_every=2, code_digest="sha256:0", say=said.append).step == 6
    assert said == [f"{tmp_path / 'run'}: going on from step 2 of 6, to the bits of a run that was never stopped"]


def test_an_error_in_the_loop_is_told_in_run_json(tmp_path: Path) -> None:
    def divide() -> None:
        with Run(tmp_path / "run") as run:
            for _ in run.batches(DATA, batch_size=4):
                run.log(ratio=1 // 0)

    with pytest.raises(ZeroDivisionError):
        divide()
    found = read_run(tmp_path / "run")
    assert (found.state, found.observed["reason"]) == (
        "failed",
        "ZeroDivisionError: integer division or modulo by zero",
    )


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, torch.tensor(math.nan, dtype=torch.bfloat16)])
def test_a_loss_that_is_not_finite_ends_the_run_without_a_checkpoint(loss: Any, tmp_path: Path) -> None:  # Any: numbers
    before = signal.getsignal(signal.SIGTERM)
    run = Run(tmp_path / "run", save_every=1)

    def go() -> None:
        for _ in run.batches(DATA, batch_size=4):
            run.log(loss=loss if run.step == 2 else 0.0, other=math.nan)

    with pytest.raises(LossNotFinite, match=r"step 2 is -?(nan|inf): epoch 0, batch 1, examples \d, \d, \d, \d;"):
        go()
    assert [place.name for place in list_checkpoints(tmp_path / "run" / "checkpoints")] == ["step-00000001"]
    assert signal.getsignal(signal.SIGTERM) is before
    run.close()


def test_handlers_are_as_they_were_when_the_loop_is_over(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train(tmp_path / "run")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_ends_it_with_the_status_of_a_process_that_the_signal_ended(tmp_path: Path) -> None:
    said: list[str] = []

    def go() -> None:
        with Run(tmp_path / "run", say=said.append) as run:
            for _ in run.batches(DATA, batch_size=4):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(RunInterrupted) as caught:
        go()
    assert (caught.value.code, caught.value.step) == (143, 1)
    assert said == [
        f"{tmp_path / 'run'}: SIGTERM ended the run after step 1, which is saved; the next start goes on from there"
    ]


def test_a_run_in_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []  # Any: handlers

    def work() -> None:
        with Run(tmp_path / "run") as run:
            seen.extend(signal.getsignal(signal.SIGTERM) for _ in run.batches(DATA, batch_size=4))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before] * 3


def test_a_folder_in_use_is_refused_with_the_holders_pid(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        with pytest.raises(RunLocked) as caught:
            Run(tmp_path / "run")
        assert run.folder.holder() == os.getpid()
    assert caught.value.message == f"another process works in {tmp_path / 'run'} (pid {os.getpid()})"
    assert run.folder.holder() is None
    Run(tmp_path / "run").close()


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(ConfigError, match=r"is no run and holds 'thesis\.txt' already"):
        Run(tmp_path)
    with pytest.raises(ConfigError, match="is a file, so no run can be kept in it"):
        Run(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "options",
    [{"seed": -1}, {"seed": 2**53 + 1}, {"threads": 0}, {"save_every": 0}, {"keep": 0}],
    ids=str,
)
def test_numbers_that_mean_nothing_are_refused_before_anything_is_made(
    options: dict[str, Any],  # Any: whatever Run takes
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError):
        Run(tmp_path / "run", **options)
    assert list(tmp_path.iterdir()) == []


def test_wrong_data_is_refused_and_can_be_put_right_in_the_same_folder(tmp_path: Path) -> None:
    for data, size in ((DATA, 11), ([], 1), ((DATA, DATA[:3]), 1)):
        with Run(tmp_path / "run", params={"size": size}) as run, pytest.raises(ConfigError):
            run.batches(data, batch_size=size)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["lock"]
    train(tmp_path / "run")
    assert read_run(tmp_path / "run").state == "finished"


def test_what_has_no_state_or_comes_too_late_is_not_tracked(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        with pytest.raises(ConfigError, match="number, a int, has no state"):
            run.track(number=3)
        with pytest.raises(ConfigError, match=r"'\.\./x' cannot name what is tracked"):
            run.track(**{"../x": torch.nn.Linear(1, 1)})
        with pytest.raises(ConfigError, match="'run' is the name of the run's own state"):
            run.track(run=torch.nn.Linear(1, 1))
        with pytest.raises(ConfigError, match="there is no step to log yet"):
            run.log(loss=1.0)
        run.batches(DATA, batch_size=4)
        with pytest.raises(ConfigError, match="the loop has begun"):
            run.track(model=torch.nn.Linear(1, 1))
        with pytest.raises(ConfigError, match=r"run\.batches was called before"):
            run.batches(DATA, batch_size=4)


def test_every_difference_is_named_before_a_resume(tmp_path: Path) -> None:
    train(
        tmp_path / "run", until=3, save_every=1, seed=1, params={"rate": 0.5, "deep": {"a": 1}}, code_digest="sha256:00"
    )
    with pytest.raises(InexactResume) as caught:
        Run(
            tmp_path / "run", seed=2, params={"rate": 0.25, "deep": {"a": 1, "b": 2}}, task="t", code_digest="sha256:01"
        )
    assert caught.value.differences == (
        "code: sha256:00 -> sha256:01",
        "params.deep.b: unknown -> 2",
        "params.rate: 0.5 -> 0.25",
        "seed: 1 -> 2",
        "task: unknown -> t",
    )
    assert (caught.value.exit_code, caught.value.code) == (2, "run.inexact")


def test_other_data_or_batches_are_refused_too(tmp_path: Path) -> None:
    train(tmp_path / "run", until=3, save_every=1)
    with Run(tmp_path / "run") as run, pytest.raises(InexactResume) as caught:
        run.batches(DATA[:9], batch_size=3)
    data, *plan = caught.value.differences
    assert data.startswith("data: sha256:")
    assert plan == ["batch_size: 4 -> 3", "examples: 10 -> 9"]


class Own:
    """Data that only its own code can give."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        return index


def resumed(
    folder: Path, data: Any, *, tracked: bool = True, **options: Any
) -> tuple[list[str], list[object]]:  # Any: data of each kind, and what Run takes
    """Begin a run, go on with it, and again: what each resume says, and what its events say of exactness."""
    said: list[str] = []
    for until in (2, 2, None):
        with Run(folder, save_every=1, say=said.append, **options) as run:
            if tracked:
                run.track(model=torch.nn.Linear(1, 1))
            for _ in run.batches(data, batch_size=2, epochs=2):
                run.log(loss=1.0)
                if run.step == (until or 99):
                    break
    return said, [event.values["exact"] for event in read_events(folder / "events.ndjson") if event.kind == "resume"]


def test_a_resume_says_that_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    said, exact = resumed(tmp_path / "run", DATA, code_digest="sha256:00")
    told = f"{tmp_path / 'run'}: going on from step 1 of 10, to the bits of a run that was never stopped"
    assert (said, exact) == ([told, told], [True, True])
    assert read_run(tmp_path / "run").inexact == ()


UNKNOWN = "whether to the same bits is not known, for the {} may have changed: {}"


@pytest.mark.parametrize(
    ("data", "tracked", "told"),
    [
        (Own(), True, UNKNOWN.format("data", "tell it by data=PATH or data_digest=")),
        (DATA, False, UNKNOWN.format("model", "run.track(model=.., opt=..) keeps it in checkpoints")),
    ],
)
def test_a_resume_of_which_nobody_knows_says_so_and_run_json_keeps_it(
    data: Any,  # Any: data of each kind
    tracked: bool,
    told: str,
    tmp_path: Path,
) -> None:
    said, exact = resumed(tmp_path / "run", data, tracked=tracked, code_digest="sha256:00")
    assert said == [f"{tmp_path / 'run'}: going on from step 1 of 10; {told}"] * 2
    assert exact == [False, False]
    differences = [f"{'data' if tracked else 'model'}: not known to be the same"]
    assert [dict(one) for one in read_run(tmp_path / "run").inexact] == [{"step": 1, "differences": differences}] * 2


def test_data_whose_digest_is_told_is_known(tmp_path: Path) -> None:
    said, exact = resumed(tmp_path / "run", Own(), code_digest="sha256:00", data_digest="sha256:11")
    assert (len(said), exact) == (2, [True, True])


def test_a_checkpoint_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("other", 2)):
        train(tmp_path / name, until=3, save_every=1, seed=seed, code_digest="sha256:0")
    checkpoints = tmp_path / "one" / "checkpoints"
    shutil.rmtree(checkpoints)
    shutil.copytree(tmp_path / "other" / "checkpoints", checkpoints)
    with pytest.raises(ConfigError, match="the checkpoint of step 2 is of another run: seed: 2 -> 1; put"):
        train(tmp_path / "one", seed=1, code_digest="sha256:0")


def test_a_checkpoint_from_before_an_inexact_resume_is_the_run_s_own(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(folder, until=3, save_every=1, seed=1, code_digest="sha256:0")
    train(folder, until=3, save_every=99, seed=2, code_digest="sha256:0", allow_inexact=True)  # left without a save
    assert train(folder, seed=2, code_digest="sha256:0").step == 6


def test_a_run_that_is_asked_to_end_before_it_stands_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "run", code_digest="sha256:0")  # two epochs of three batches
    with Run(tmp_path / "run", code_digest="sha256:0") as run:
        run.track(model=torch.nn.Linear(2, 1))
        with pytest.raises(ConfigError, match="the run has taken 6 steps already, and is asked for 3; ask for as many"):
            next(iter(run.batches(DATA, batch_size=4, epochs=1)))
    with Run(tmp_path / "run", code_digest="sha256:0") as run:
        run.track(model=torch.nn.Linear(2, 1))
        assert len(list(run.batches(DATA, batch_size=4, epochs=3))) == 3  # more is welcome


@pytest.mark.parametrize("data", [iter([1]), {"x": DATA}, None, 3])
def test_data_that_gives_no_example_by_its_number_is_refused(data: Any, tmp_path: Path) -> None:  # Any: wrong data
    with Run(tmp_path / "run") as run, pytest.raises(ConfigError, match="gives no example by its number"):
        run.batches(data, batch_size=1)


def test_a_loss_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        for _ in run.batches(DATA, batch_size=5):
            with pytest.raises(ConfigError, match="the loss is 'low', which is no number"):
                run.log(loss="low")
            run.log(loss=0.5, note="low")


def test_data_that_is_given_in_another_way_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "run", until=3, save_every=1)
    with Run(tmp_path / "run") as run, pytest.raises(InexactResume) as caught:
        run.batches(Own(), batch_size=4)
    (change,) = caught.value.differences
    assert change.startswith("data: sha256:")
    assert change.endswith(" -> unknown")


SCRIPT = """
import os, sys
from codex_train import Run
if not os.path.exists("cache"):
    import prepare
run = Run("run", save_every=1)
import torch
run.track(model=torch.nn.Linear(1, 1))
for batch in run.batches(list("abcdef"), batch_size=1):
    import helper
    run.log(loss=0.5)
    if run.step == int(sys.argv[1]): break
run.close()
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[int], subprocess.CompletedProcess[str]]:
    """A script that imports a module at its first start alone, and another one in its loop; it is left at a step."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "prepare.py").write_text("open('cache', 'w').close()")
    (tmp_path / "helper.py").write_text("")

    def start(until: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-B", "script.py", str(until)]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert start(2).returncode == 0
    return start


def test_a_script_that_was_not_changed_goes_on_whatever_it_imports(
    script: Callable[[int], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    before = read_run(tmp_path / "run")
    for until, step in ((3, 1), (9, 2)):
        done = script(until)
        assert (done.returncode, done.stderr) == (
            0,
            f"{tmp_path / 'run'}: going on from step {step} of 6, to the bits of a run that was never stopped\n",
        )
    assert read_run(tmp_path / "run").identity == before.identity


@pytest.mark.parametrize("name", ["script.py", "prepare.py", "helper.py"])
def test_a_changed_file_of_the_script_is_named_and_refused(
    script: Callable[[int], subprocess.CompletedProcess[str]], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\n# more\n")
    done = script(9)
    assert done.returncode == 1
    assert f"would not go on to the same bits: code: {name} changed; run it as before" in done.stderr


def test_the_resume_after_an_inexact_one_is_inexact_too(tmp_path: Path) -> None:
    said: list[str] = []
    for until, seed, more in ((2, 1, {}), (3, 2, {"allow_inexact": True}), (None, 2, {})):
        train(tmp_path / "run", until=until, save_every=1, seed=seed, code_digest="sha256:0", say=said.append, **more)
    assert said[-1].endswith(
        "going on from step 2 of 6; since step 1 its bits may not be those of a run that was never stopped"
    )
    events = read_events(tmp_path / "run" / "events.ndjson")
    assert [event.values["exact"] for event in events if event.kind == "resume"] == [False, False]


def test_what_the_script_sets_itself_before_the_loop_is_part_of_the_identity(tmp_path: Path) -> None:
    for threads in (1, 2):
        with Run(tmp_path / "run", save_every=1) as run:
            torch.set_num_threads(threads)
            try:
                batches = run.batches(DATA, batch_size=5)
            except InexactResume as error:
                assert error.differences == ("threads: 1 -> 2",)  # noqa: PT017 - the first start is not refused
                return
            next(batches)
            next(batches)
    raise AssertionError("the second start was not refused")


def test_parameters_are_compared_as_json_holds_them(tmp_path: Path) -> None:
    for until in (2, None):
        train(tmp_path / "run", until=until, save_every=1, params={"betas": (0.9, 0.95)}, code_digest="sha256:0")
    with pytest.raises(ConfigError, match="the run's params cannot be kept: a set has no canonical JSON form"):
        Run(tmp_path / "other", params={"names": {"a"}})


def train_channels_last(folder: Path, *, until: int | None = None) -> bytes:
    """Train a convolution by a fused AdamW, whose kernel goes by the order in memory; the weights at the end."""
    with Run(folder, seed=3, save_every=1, code_digest="sha256:0") as run:
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(64, 1))
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own lacks this one
        opt = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        run.track(model=model, opt=opt)
        for batch in run.batches(torch.linspace(-1, 1, 12 * 108).view(12, 3, 6, 6), batch_size=2):
            opt.zero_grad()
            loss = model(batch.contiguous(memory_format=torch.channels_last)).square().mean()
            loss.backward()
            opt.step()
            run.log(loss=loss)
            if run.step == until:
                break
        run.save_model(model.state_dict(), {"task": "none"})
    return (folder / "model" / "model.safetensors").read_bytes()


def test_a_model_that_lies_otherwise_in_memory_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    whole = train_channels_last(tmp_path / "whole")
    train_channels_last(tmp_path / "stopped", until=4)
    assert train_channels_last(tmp_path / "stopped") == whole


def test_after_a_break_signals_are_the_script_s_own_again(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run = Run(tmp_path / "run")
    for _ in run.batches(DATA, batch_size=5):
        assert signal.getsignal(signal.SIGTERM) is not before
        break
    assert signal.getsignal(signal.SIGTERM) is before
    run.close()


def test_other_names_than_the_checkpoint_has_are_refused(tmp_path: Path) -> None:
    train(tmp_path / "run", until=3, save_every=1)
    with Run(tmp_path / "run") as run:
        run.track(model=torch.nn.Linear(2, 1), ema=torch.nn.Linear(2, 1))
        with pytest.raises(ConfigError, match="the run tracks ema and model, and its checkpoint of step 2 has model"):
            next(iter(run.batches(DATA, batch_size=4)))


def test_a_plain_script_sets_threads_before_torch_and_ends_like_any_other(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from codex_train import Run\n"
        "run = Run('run', threads=2)\n"
        "import os, torch\n"
        "for batch in run.batches(list('abc'), batch_size=2): print(batch)\n"
        "print(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'])\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "2 2 PASSIVE"
    found = json.loads((tmp_path / "run" / "run.json").read_bytes())
    assert (found["state"], found["identity"]["environment"]["threads"]) == ("finished", 2)
    assert found["observed"]["omp_wait_policy"] == "PASSIVE"
