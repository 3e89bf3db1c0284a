"""The loop of a run: it restores, hands out batches, saves between them, and says how it ended."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from codex_core.errors import ConfigError, LossNotFinite
from codex_train.checkpoint import Checkpoint, write_checkpoint
from codex_train.checkpoint_folder import prune_checkpoints
from codex_train.fit import OWN, check_fit, load_tracked
from codex_train.gradients import held_gradients, restore_gradients
from codex_train.identity import changed_names, differences
from codex_train.journal import Journal
from codex_train.order import Position
from codex_train.recovery import recover
from codex_train.run_file import write_run
from codex_train.seeding import generator_states, restore_generators
from codex_train.signals import RunInterrupted, listening

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from numpy.typing import NDArray

    from codex_core.events import Scalar
    from codex_train.batches import Fetch
    from codex_train.plan import Plan
    from codex_train.run_file import RunFile, State
    from codex_train.run_folder import RunFolder
    from codex_train.script import Script

_TELL = {"data": "tell it by data=PATH or data_digest=", "code": "tell it by code_digest="}
_MOST_NAMED = 8
"""How many examples of a batch an error names."""


class Loop:
    """One loop over the batches of ``plan``; ``step`` is the one being taken, from 1, and at the end their number.

    ``file`` is what run.json will say, ``changes`` are the differences in identity that the user allowed, ``script`` is
    where the code's digest was found.
    """

    def __init__(
        self,
        folder: RunFolder,
        file: RunFile,
        plan: Plan,
        tracked: Mapping[str, Any],  # Any: whatever has a state_dict
        changes: tuple[str, ...],
        *,
        seed: int,
        say: Callable[[str], None],
        clock: Callable[[], float],
        script: Script | None,
    ) -> None:
        self.file = file
        self.step = 0
        self._folder = folder
        self._plan = plan
        self._tracked = dict(tracked)
        self._changes = changes
        self._seed = seed
        self._say = say
        self._clock = clock
        self._script = script
        self._journal: Journal | None = None
        self._saved: int | None = None
        self._batch: tuple[Position, NDArray[Any]] | None = None  # Any: 64-bit integers

    def batches(self, fetch: Fetch) -> Generator[Any, None, None]:  # Any: what the user's data gives
        """Every batch that is left; RunInterrupted when a signal came, after the state was saved."""
        position = self._restore()
        save_every = self.file.settings.save_every
        with listening() as asked:
            for after, order in self._plan.walk(self._seed, position):
                self.step, self._batch = after.step, (after, order)
                yield fetch(order)
                position = after
                if asked.signal is not None:
                    break
                if self.step % save_every == 0:
                    self._save(position)
            self._save(position)
            if position.step >= self._plan.total(position):
                self.end("finished", "finish")
        if asked.signal is not None:
            self._interrupt(asked.signal)

    def log(self, values: Mapping[str, Scalar]) -> None:
        """Note ``values`` of the step being taken; LossNotFinite if its ``loss`` is not finite."""
        if self._journal is None:
            raise ConfigError("there is no step to log yet", hint="call run.log in the loop over run.batches")
        self._journal.log(self.step, values, at_once=self.file.state != "running")
        loss = values.get("loss")
        if isinstance(loss, float) and not math.isfinite(loss):
            raise self._fail(loss)

    def end(self, state: State, kind: str, reason: str | None = None) -> None:
        """Say in run.json and in the events how the run ended, unless it never began or has ended already."""
        if self._journal is None or self.file.state != "running":
            return
        self._journal.tell(kind, self.step, {} if reason is None else {"reason": reason})
        self._write(state=state, observed={**self.file.observed, "at": self._clock(), "reason": reason})

    def close(self) -> None:
        """Put out what was logged, and take no more."""
        if self._journal is not None:
            self._journal.close()

    def _restore(self) -> Position:
        """Load the newest whole checkpoint, if there is one; the generators last, as they were before the batch."""
        found = recover(self._folder.checkpoints)
        checkpoint = found.checkpoint
        if checkpoint is None:
            self._begin(Position(), logged=0).tell("start", 0, {})
            return Position()
        self._check_own(checkpoint)
        check_fit(self._tracked, checkpoint)
        position = Position(checkpoint.step, checkpoint.facts["epoch"], checkpoint.facts["offset"])
        self.step = self._saved = checkpoint.step
        journal = self._begin(position, logged=checkpoint.facts["events"])
        journal.tell("resume", self.step, {"exact": not self.file.inexact})
        for damage in found.damage:
            self._note(journal, "damage", f"{damage}; going on from step {self.step}")
        if self._changes:
            self._note(
                journal, "inexact", f"its bits will not be those of an unstopped run: {', '.join(self._changes)}"
            )
        self._say(f"{self._folder.path}: going on from step {self.step} of {self.file.steps}{self._outlook()}")
        load_tracked(self._tracked, checkpoint)
        restore_gradients(self._tracked, checkpoint.states[OWN]["gradients"])
        restore_generators(checkpoint.states[OWN]["generators"])
        return position

    def _outlook(self) -> str:
        """What is known of the bits that will come; of bits that will differ enough was said."""
        if self._changes:
            return ""
        if unknown := self._unknown():
            told = " and ".join(unknown)
            hint = " and ".join(unknown.values())
            return f"; whether to the same bits is not known, for the {told} may have changed: {hint}"
        if self.file.inexact:
            since = self.file.inexact[0]["step"]
            return f"; since step {since} its bits may not be those of a run that was never stopped"
        return ", to the bits of a run that was never stopped"

    def _unknown(self) -> dict[str, str]:
        """What may have changed without anybody knowing, and what to do about it."""
        nothing = {} if self._tracked else {"model": "run.track(model=.., opt=..) keeps it in checkpoints"}
        return {**{name: _TELL[name] for name in self.file.identity.unknown}, **nothing}

    def _check_own(self, checkpoint: Checkpoint) -> None:
        """ConfigError for a checkpoint that this run cannot have written, or that is beyond its end."""
        now, then = self.file.identity, checkpoint.identity
        then = replace(then, environment={**then.environment, "inexact": now.environment.get("inexact")})
        changes = differences(then, now)
        if foreign := changed_names(changes) - self.file.allowed - changed_names(self._changes):
            told = ", ".join(change for change in changes if change.partition(":")[0] in foreign)
            hint = "put the run's own checkpoint back, or begin another run in a new folder"
            raise ConfigError(f"the checkpoint of step {checkpoint.step} is of another run: {told}", hint=hint)
        if not self._changes and checkpoint.step > (end := self._plan.total(Position())):
            message = f"the run has taken {checkpoint.step} steps already, and is asked for {end}"
            raise ConfigError(message, hint="ask for as many or more, or begin another run in a new folder")

    def _begin(self, position: Position, *, logged: int) -> Journal:
        """Write run.json, and open the events after the first ``logged`` bytes."""
        unknown = [f"{name}: not known to be the same" for name in self._unknown()] if position.step else []
        changed = {"step": position.step, "differences": [*self._changes, *unknown]}
        total = self._plan.total(position)
        self._write(
            steps=total,
            step=position.step,
            inexact=(*self.file.inexact, changed) if changed["differences"] else self.file.inexact,
            observed={**self.file.observed, "at": self._clock()},
        )
        self._journal = Journal(self._folder.events, kept=logged, total=total, stream=sys.stderr, clock=self._clock)
        return self._journal

    def _note(self, journal: Journal, kind: str, text: str) -> None:
        journal.tell(kind, self.step, {"reason": text})
        self._say(f"{self._folder.path}: {text}")

    def _save(self, position: Position) -> None:
        """Write a checkpoint of the state after ``position``, unless it is the one that was loaded or written last."""
        if self._saved == position.step or self._journal is None:
            return
        states = {name: item.state_dict() for name, item in self._tracked.items()}
        facts = {"epoch": position.epoch, "offset": position.offset, "events": self._journal.durable_size()}
        own = {"generators": generator_states(), "gradients": held_gradients(self._tracked)}
        checkpoint = Checkpoint(position.step, {**states, OWN: own}, facts, self.file.attested)
        write_checkpoint(self._folder.checkpoints, checkpoint)
        self._saved = position.step
        late = self._script.added(self.file.script) if self._script is not None else {}
        self._write(step=position.step, script={**self.file.script, **late})
        prune_checkpoints(self._folder.checkpoints, self.file.settings.keep)

    def _interrupt(self, number: int) -> None:
        interrupted = RunInterrupted(number, self.step)
        self.end("interrupted", "interrupt", interrupted.signal.name)
        self._say(f"{self._folder.path}: {interrupted}; the next start goes on from there")
        raise interrupted

    def _fail(self, loss: float) -> LossNotFinite:
        reason = f"the loss of step {self.step} is {loss}"
        if self._batch is not None:
            position, order = self._batch
            index = (position.offset - len(order)) // self._plan.batch_size
            named = ", ".join(map(str, order[:_MOST_NAMED])) + (", .." if len(order) > _MOST_NAMED else "")
            reason += f": epoch {position.epoch}, batch {index}, examples {named}"
        self.end("failed", "fail", reason)
        start = "from the beginning" if self._saved is None else f"from the checkpoint of step {self._saved}"
        hint = f"going on {start} meets the same loss: look at these examples, or lower the learning rate"
        return LossNotFinite(reason, hint=hint)

    def _write(self, **changes: Any) -> None:  # Any: fields of RunFile
        self.file = replace(self.file, **changes)
        write_run(self._folder.path, self.file)
