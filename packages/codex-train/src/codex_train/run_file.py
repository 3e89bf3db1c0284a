"""run.json: what a run folder says of its run: identity, plan, how far it came, and what was observed meanwhile."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from codex_core.digest import canonical_json
from codex_core.errors import ConfigError
from codex_train.durable import replace_file
from codex_train.identity import Identity, changed_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SCHEMA = "codex.run/1"
RUN_FILE = "run.json"

State = Literal["running", "finished", "interrupted", "stopped", "failed"]
"""``interrupted`` is by a signal, ``stopped`` by code that left the loop. A killed run says ``running``."""


@dataclass(frozen=True)
class Settings:
    """How a run was started, besides its identity. ``data`` is the absolute path of its data, where it was told.

    ``save_every`` is in steps, ``keep`` is how many checkpoints stay; neither decides any bits, and threads stand in
    the environment as well, as they were then found.
    """

    threads: int = 1
    save_every: int = 100
    keep: int = 3
    data: str | None = None

    def check(self) -> None:
        """ConfigError if a run cannot be started like this."""
        for name in ("threads", "save_every", "keep"):
            value = getattr(self, name)
            if value < 1:
                raise ConfigError(f"a run cannot have {name}={value}", hint=f"give {name} as 1 or more")


@dataclass(frozen=True)
class RunFile:
    """What run.json holds.

    ``step`` is that of the newest checkpoint and ``steps`` how many there will be, None if nothing but the user's code
    says so. ``plan`` are examples and batch_size. ``inexact`` are the resumes that went on although the bits would
    differ, or although nobody knew. ``script`` has the digest of each file of the script that the code's digest was
    found from, and of those it imported later, by its path seen from the script. ``observed`` are pid, times and the
    like.
    """

    identity: Identity
    state: State = "running"
    step: int = 0
    steps: int | None = None
    plan: Mapping[str, int] = field(default_factory=dict)
    inexact: tuple[Mapping[str, Any], ...] = ()  # Any: a number and a list of text
    settings: Settings = field(default_factory=Settings)
    script: Mapping[str, str] = field(default_factory=dict)
    observed: Mapping[str, object] = field(default_factory=dict)

    @property
    def allowed(self) -> set[str]:
        """The names of all in which the run has differed from what it was, or may have."""
        return changed_names(change for one in self.inexact for change in one["differences"])

    @property
    def attested(self) -> Identity:
        """The identity as a manifest holds it: the environment says where bits began to differ."""
        if not self.inexact:
            return self.identity
        told = "; ".join(f"after step {one['step']}: {', '.join(one['differences'])}" for one in self.inexact)
        return Identity(self.identity.made_from, {**self.identity.environment, "inexact": told})

    def to_json(self) -> dict[str, object]:
        """The object that run.json holds."""
        return {"schema": SCHEMA, **asdict(self)}


def write_run(folder: Path, run: RunFile) -> None:
    """Replace the run.json of ``folder``, durably."""
    replace_file(folder / RUN_FILE, canonical_json(run.to_json()) + b"\n")


def read_run(folder: Path) -> RunFile:
    """What the run.json of ``folder`` says; ConfigError if the folder is no run, or its run.json cannot be read."""
    path = folder / RUN_FILE
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        hint = "`codex train list DIR` shows the runs below a folder"
        raise ConfigError(f"{folder} is no run: it has no {RUN_FILE}", hint=hint) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="put it back from a copy") from error
    try:
        return _from_json(data)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not what a run writes: {error!r}", hint="put it back from a copy") from error


def _from_json(data: Any) -> RunFile:  # Any: JSON
    if data["schema"] != SCHEMA:
        raise ValueError(f"its schema is {data['schema']!r}, and this release reads {SCHEMA!r}")
    members = {one.name: data[one.name] for one in fields(RunFile)}
    identity = Identity(dict(data["identity"]["made_from"]), dict(data["identity"]["environment"]))
    settings = Settings(**data["settings"])
    return RunFile(**{**members, "identity": identity, "settings": settings, "inexact": tuple(data["inexact"])})
