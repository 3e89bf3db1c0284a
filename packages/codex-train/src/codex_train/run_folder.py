"""The run folder: where its parts lie, and the lock by which one process at a time works in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codex_core import locks
from codex_core.errors import ConfigError
from codex_train.durable import draft_of, make_folder
from codex_train.run_file import RUN_FILE

LOCK = "lock"

_NO_RUN_YET = {LOCK, draft_of(Path(RUN_FILE)).name}
"""What a process that was killed before its run.json was written leaves."""


@dataclass(frozen=True)
class RunFolder:
    """The folder at ``path``, which need not exist yet."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def events(self) -> Path:
        """What the run reported of itself, a line each."""
        return self.path / "events.ndjson"

    @property
    def model(self) -> Path:
        """The model folder that a task leaves."""
        return self.path / "model"

    @property
    def is_run(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / RUN_FILE).exists()

    def lock(self) -> locks.Lock:
        """Make the folder if it is not there, and lock it until that is closed or this process ends.

        RunLocked, naming the holder's pid, if another process works in it, or another Run of this one; ConfigError if
        it is something else than a run's folder or an empty one.
        """
        self._refuse_foreign()
        make_folder(self.path)
        return locks.Lock(self.path / LOCK, where=self.path)

    def holder(self) -> int | None:
        """The pid of the process that works here; None if none does."""
        return locks.holder(self.path / LOCK)

    def _refuse_foreign(self) -> None:
        if not self.path.exists() or self.is_run:
            return
        if not self.path.is_dir():
            raise ConfigError(f"{self.path} is a file, so no run can be kept in it", hint="name a folder")
        found = sorted(path.name for path in self.path.iterdir() if path.name not in _NO_RUN_YET)
        if found:
            message = f"{self.path} is no run and holds {found[0]!r} already, so no run is begun in it"
            raise ConfigError(message, hint="name a new folder, or an empty one")
