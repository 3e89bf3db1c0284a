"""Run: the user owns model, loss and optimiser step; the run owns step, data position, randomness, checkpoints, events.

    run = Run("runs/first", seed=7, save_every=100, keep=3)
    model = ...                                          # made after the run, whose seed decides its first weights
    run.track(model=model, opt=opt)
    for batch in run.batches(data, batch_size=32, epochs=3):
        ...                                              # forward, backward, opt.step()
        run.log(loss=loss)

Started again on the same folder, the same script goes on from the newest checkpoint and ends in the same bits. What
stands before the loop happens each time; what is tracked then gets its state from the checkpoint. A checkpoint is taken
between two batches: after the whole body of the loop has worked on one, and before anything of the next is fetched.
"""

from __future__ import annotations

import json
import os
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_core.digest import LARGEST_INTEGER, canonical_json, digest_path
from codex_core.errors import ConfigError, DigestError, InexactResume, LossNotFinite
from codex_train.checkpoint_folder import list_checkpoints
from codex_train.identity import Identity, differences
from codex_train.machine import observe_environment, prepare_machine
from codex_train.run_file import RunFile, Settings, read_run
from codex_train.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    import torch

    from codex_train.loop import Loop
    from codex_train.run_file import State
    from codex_train.script import Script


class Run:
    """One training run in the folder ``folder``, made if it is not there, and gone on with if it is a run's.

    ``save_every`` is in steps, ``keep`` is how many checkpoints stay. ``task`` and ``params`` are part of the identity
    where they are given. So are data and code: ``data`` is a path, which is digested, unless ``data_digest`` is known
    already; where neither is given, the examples that ``batches`` gets are digested, if they can be. ``code_digest`` is
    that of the running script and of what it has imported that is not installed, unless it is given. With
    ``allow_inexact`` a run whose bits would differ goes on all the same, and its run.json says so. What a person should
    know goes to ``say``, or to stderr.

    A Run sets threads, deterministic kernels and the seeds of its whole process. ConfigError if ``folder`` is something
    else; RunLocked if another process works in it; InexactResume, which names every difference, if the bits would not
    be those of a run that was never stopped.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        seed: int = 0,
        threads: int = 1,
        save_every: int = 100,
        keep: int = 3,
        task: str | None = None,
        params: Mapping[str, object] | None = None,
        data: str | os.PathLike[str] | None = None,
        data_digest: str | None = None,
        code_digest: str | None = None,
        allow_inexact: bool = False,
        say: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        is_seed = type(seed) is int and 0 <= seed <= LARGEST_INTEGER
        _check(is_seed, f"a run cannot have the seed {seed!r}", "give a whole number from 0 to 2^53")
        self.data = None if data is None else Path(data).absolute()
        settings = Settings(threads, save_every, keep, None if self.data is None else os.fspath(self.data))
        settings.check()
        self.folder = RunFolder(Path(folder).absolute())
        self.seed = seed
        self._allow_inexact = allow_inexact
        self._say = say or _say
        self._clock = clock
        self._tracked: dict[str, Any] = {}  # Any: whatever has a state_dict
        self._loop: Loop | None = None
        self._batches: Callable[[], Generator[Any, None, None] | None] = lambda: None  # Any: as for batches
        self._lock = self.folder.lock()
        try:
            waiting = prepare_machine(threads)
            from codex_train.seeding import seed_generators  # it imports torch, which reads what was just set

            if self.data is not None and data_digest is None:
                _check(self.data.exists(), f"there is no data: {self.data} does not exist", "name a file or a folder")
                data_digest = digest_path(self.data)
            digests = {"data": data_digest, "code": code_digest}
            made_from = _as_json({"task": task, **digests, "params": dict(params or {}), "seed": seed})
            self._before = self._read_before()
            self._file = RunFile(
                Identity(made_from, observe_environment()),
                inexact=() if self._before is None else self._before.inexact,
                settings=settings,
                observed={"pid": os.getpid(), "omp_wait_policy": waiting},
            )
            self._changes()
            seed_generators(seed)
        except BaseException:
            self._lock.close()
            raise

    @property
    def step(self) -> int:
        """The step being taken, from 1; before the loop 0, and after it the number of steps taken."""
        return 0 if self._loop is None else self._loop.step

    @property
    def identity(self) -> Identity:
        """What decides the bits of this run; all of it is known once ``batches`` was called."""
        return self._file.identity

    def track(self, **tracked: Any) -> None:  # Any: whatever has a state_dict
        """Keep the states of these in checkpoints: models, optimisers, schedulers, all with a ``state_dict``."""
        from codex_train.fit import OWN

        _check(self._loop is None, "the loop has begun, so nothing more is tracked", "track before run.batches")
        for name, item in tracked.items():
            _check(name != OWN, f"{name!r} is the name of the run's own state", "track it under another")
            _check(
                name.isidentifier(), f"{name!r} cannot name what is tracked", "it names a file: use letters and digits"
            )
            has_state = hasattr(item, "state_dict") and hasattr(item, "load_state_dict")
            _check(
                has_state, f"{name}, a {type(item).__name__}, has no state", "it needs state_dict and load_state_dict"
            )
        self._tracked.update(tracked)

    def batches(
        self,
        data: Any,  # Any: as codex_train.batches says
        *,
        batch_size: int,
        epochs: int | None = 1,
        steps: int | None = None,
    ) -> Iterator[Any]:  # Any: as above
        """Every batch that is left, in the run's order, saving between them; once in a Run.

        The loop ends after ``epochs``, or after ``steps`` where that is sooner. An epoch's last batch may be short.
        ConfigError if there is no data, if a batch is larger than it, or if the checkpoint is of another model;
        VerificationError if no checkpoint can be read. A signal ends it with RunInterrupted.
        """
        from codex_train.batches import count_examples, digest_examples, fetcher
        from codex_train.loop import Loop
        from codex_train.plan import Plan

        _check(self._loop is None, "run.batches was called before", "a Run has one loop; its epochs are in it")
        plan = Plan(count_examples(data), batch_size, epochs, steps)
        plan.check()
        self._file = replace(self._file, plan=plan.to_json())
        script = self._complete(lambda: digest_examples(data))
        self._loop = Loop(
            self.folder,
            self._file,
            plan,
            self._tracked,
            self._changes(script),
            seed=self.seed,
            say=self._say,
            clock=self._clock,
            script=script,
        )
        batches = self._loop.batches(fetcher(data))
        self._batches = weakref.ref(batches)  # the caller's loop alone holds it: left by break, it ends there
        return batches

    def log(self, **values: Any) -> None:  # Any: numbers, or tensors of one
        """Note what the loop's body says of this step; LossNotFinite, naming the batch, if ``loss`` is not finite."""
        if self._loop is None:
            raise ConfigError("there is no step to log yet", hint="call run.log in the loop over run.batches")
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in values.items()}
        if not isinstance(plain.get("loss", 0.0), int | float):
            raise ConfigError(f"the loss is {plain['loss']!r}, which is no number", hint="log a number")
        try:
            self._loop.log(plain)
        except LossNotFinite:
            self._close_batches()  # now, and not when the caller's frame is gone: signals go their own way again
            raise

    def save_model(self, weights: Mapping[str, torch.Tensor], config: Mapping[str, object]) -> None:
        """Write the model folder, ``run.folder.model``; ``config`` holds the task's name and the architecture."""
        from codex_train.model_folder import write_model

        attested = self._file.attested if self._loop is None else self._loop.file.attested
        write_model(self.folder.model, weights, config, step=self.step, identity=attested)

    def close(self) -> None:
        """Put out what was logged, and let others work in the folder; a loop that is not at its end stops there."""
        self._leave("stopped", "stop", "the loop was left before its end")
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._leave("failed", "fail", f"{type(error).__name__}: {error}")
        self.close()

    def _leave(self, state: State, kind: str, reason: str) -> None:
        if self._loop is not None:
            self._loop.end(state, kind, reason)
            self._close_batches()
            self._loop.close()

    def _close_batches(self) -> None:
        if (batches := self._batches()) is not None:
            batches.close()

    def _read_before(self) -> RunFile | None:
        """What the run was when it was last here; None if it left no checkpoint, so that it begins anew."""
        return read_run(self.folder.path) if list_checkpoints(self.folder.checkpoints) else None

    def _complete(self, digest_data: Callable[[], str | None]) -> Script | None:
        """Find out what nobody told of the identity, as it is when the loop begins; where the code was found."""
        from codex_train.script import find_script

        unknown = self.identity.unknown
        made_from, script = dict(self.identity.made_from), find_script() if "code" in unknown else None
        if "data" in unknown:
            made_from["data"] = digest_data()
        if script is not None:
            made_from["code"], files = script.digest, script.files
            before = self._before
            if before is not None and before.script and not script.changes(before.script):
                made_from["code"], files = before.identity.made_from["code"], before.script
            self._file = replace(self._file, script=files)
        self._file = replace(self._file, identity=Identity(made_from, observe_environment()))
        return script

    def _changes(self, script: Script | None = None) -> tuple[str, ...]:
        """How the run differs from what it was; InexactResume if it does, and nobody allowed that.

        Before the loop nothing is said of what only it tells: digests that are still to be found, and an environment
        that the script may still set.
        """
        if self._before is None:
            return ()
        before, now = self._before.identity, self.identity
        if self._file.plan:
            changes = differences(before, now)
            changes += differences(Identity(self._before.plan, {}), Identity(self._file.plan, {}))
        else:
            pending = {name: before.made_from.get(name) for name in now.unknown}
            changes = differences(Identity(before.made_from, {}), Identity({**now.made_from, **pending}, {}))
        if script is not None and (edited := script.changes(self._before.script)):
            changes = (*(f"code: {one}" for one in edited), *(one for one in changes if not one.startswith("code: ")))
        if changes and not self._allow_inexact:
            raise InexactResume(
                f"{self.folder.path} would not go on to the same bits: {', '.join(changes)}",
                differences=changes,
                hint="run it as before, begin a run in a new folder, or allow it: allow_inexact=True, --allow-inexact",
            )
        return changes


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _as_json(made_from: Mapping[str, object]) -> dict[str, object]:
    """As it is read back from run.json, with which it is compared; ConfigError for what JSON cannot hold."""
    try:
        return dict(json.loads(canonical_json(made_from)))
    except DigestError as error:
        raise ConfigError(f"the run's params cannot be kept: {error.message}", hint="give numbers and text") from error


def _check(is_so: bool, message: str, hint: str) -> None:
    if not is_so:
        raise ConfigError(message, hint=hint)
