"""The state folder ``.codex/`` beside a pipeline file: where each thing lies, and how it is written."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from codex_cli.user_folders import LEDGER
from codex_core.durable import sync_folder
from codex_core.errors import StorageError

NAME = ".codex"


@dataclass(frozen=True)
class StateFolder:
    """The state of the pipeline in ``root``. Nothing is written before ``create``."""

    root: Path

    @property
    def path(self) -> Path:
        """The state folder itself."""
        return self.root / NAME

    @property
    def ledger(self) -> Path:
        """The ledger of this project's decisions."""
        return self.path / LEDGER

    @property
    def lock(self) -> Path:
        """The file that a run holds a lock on."""
        return self.path / "lock"

    @property
    def staging(self) -> Path:
        """The folder of the stages' staging folders."""
        return self.path / "staging"

    def record(self, stage: str) -> Path:
        """What a finished stage left behind."""
        return self.path / "records" / f"{stage}.json"

    def publication(self, stage: str) -> Path:
        """The outputs that a stage was about to publish, there only from before the first rename until the record."""
        return self.path / "records" / f"{stage}.publishing.json"

    def failure(self, stage: str) -> Path:
        """How the stage last failed, there only until it succeeds."""
        return self.path / "records" / f"{stage}.failed.json"

    def runs(self, stage: str) -> Path:
        """What a stage keeps of its own from one process to the next; the stage makes it."""
        return self.path / "runs" / stage

    def log(self, stage: str) -> Path:
        """What the stage printed."""
        return self.path / "logs" / f"{stage}.log"

    def create(self) -> None:
        """Make the folders, and a .gitignore that keeps them out of the project's history.

        A link among them is refused: what is cleaned here must not be somebody else's.
        """
        for name in ("", "records", "logs", "staging", "runs", "lock", LEDGER):
            if (self.path / name).is_symlink():
                hint = "remove the link: the state folder and what is in it are never links"
                raise StorageError(f"{self.path / name} is a link", hint=hint)
        try:
            for folder in ("records", "logs", "staging"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
            ignore = self.path / ".gitignore"
            if not ignore.exists():
                write_atomically(ignore, b"*\n")
        except OSError as error:
            raise StorageError(
                f"the state folder {self.path} cannot be made: {error.strerror}", hint=hint_of(error)
            ) from error


def hint_of(error: OSError) -> str:
    """What to do where a state folder cannot be written to."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "free some space on that disk"
    return "run in a folder that you can write to"


def write_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data``: after a crash it holds the old bytes or the new ones, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = error.filename or str(path)
        raise
    sync_folder(path.parent)
