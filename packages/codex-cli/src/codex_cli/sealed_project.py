"""What ``codex sealed`` takes from the folder that it runs in: the policy, the ledger, and what stays as it is."""

from __future__ import annotations

import errno
import os
import stat
import sys

from codex_cli.user_folders import LEDGER, user_ledger
from codex_core.policy_files import policy_files

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_core.offline.doors import Unopened
    from codex_core.offline.openings import Openings
    from codex_core.policy import Policy

PIPELINE_FILE, STATE = "codex.toml", ".codex"


class SealedProject:
    """The nearest codex.toml from ``folder`` up, if there is one, and the policy files that judge beside it.

    ConfigError, with all their mistakes, if one of them has any. ``kept``, ``read_only`` and ``writable`` are those of
    the seal's View; ``ledger`` is the path of the ledger, which lies in the user's own state folder where there is no
    project, or one that this user may not write to.
    """

    def __init__(self, folder: str, policy_file: str, environ: Mapping[str, str]) -> None:
        root = _root(folder)
        state = None if root is None else os.path.join(root, STATE)
        self.ledger = place_of_ledger(state, environ)
        project = "" if root is None else os.path.join(root, PIPELINE_FILE)
        self._files = policy_files(environ, project=project, given=policy_file)
        self._policy: Policy | None = None
        self._noted: str | None = None
        self._allows = False
        self.kept = [folder, *filter(None, [root]), sys.prefix, sys.base_prefix, os.path.dirname(__file__)]
        protected = [path for path in self._files if os.path.isfile(path)]  # a pipe, as of <(...), has been read
        self.read_only = [*protected, *filter(None, [state])]
        if os.path.dirname(self.ledger) != state:
            self.read_only.append(self.ledger)
        runs = [os.path.join(state, "runs")] if state else []
        self.writable = [path for path in runs if os.path.isdir(path)]
        _check_links([project, *filter(None, [state]), self.ledger])
        if self._files:
            self._read(environ)
        _make_ledger(self.ledger)

    def _read(self, environ: Mapping[str, str]) -> None:
        from codex_cli import checks

        self._noted = checks.noted(self._files, environ)
        if self._noted is not None:
            return
        layers = self.policy().layers
        self._allows = any(layer.allow for layer in layers)
        if not self._allows:
            import json

            denies = [{**layer.to_json(), "allow": [], "origin": layer.origin} for layer in layers]
            checks.remember(self._files, environ, json.dumps(denies))

    def ways_out(self, stage: str) -> tuple[Openings | None, Unopened | None]:
        """What a program that runs as ``stage`` has of a broker, and what the rules name that it has no door to.

        None of each where no rule allows anything.
        """
        if not self._allows:
            return None, None
        from datetime import UTC, datetime

        from codex_core.offline.doors import openings_for, unopened_for

        policy, today = self.policy(), datetime.now(UTC).date()
        return openings_for(policy, stage, today), unopened_for(policy, stage, today)

    def policy(self) -> Policy:
        """The policy of these files, read when it is first asked for."""
        if self._policy is None:
            self._policy = self._policy_of_note() or self._policy_of_files()
        return self._policy

    def _policy_of_files(self) -> Policy:
        from codex_core.project import read_policy

        return read_policy(self._files)

    def _policy_of_note(self) -> Policy | None:
        """What was noted of the files, which allow nothing: pydantic is not loaded once a program has begun."""
        if self._noted is None and self._files:
            return None
        import json

        from codex_core.errors import CodexError
        from codex_core.policy import Layer, Policy

        try:
            layers = json.loads(self._noted or "[]")
            return Policy(tuple(Layer.from_json({**layer, "allow": []}, origin=layer["origin"]) for layer in layers))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, CodexError):  # a program wrote it
            return Policy()


def _check_links(paths: Sequence[str]) -> None:
    """ConfigError for a link: a program inside could put another in its place."""
    for path in paths:
        if os.path.islink(path):
            from codex_core.errors import ConfigError

            raise ConfigError(f"{path} is a symbolic link, which no seal can protect", hint="put the file itself there")


def place_of_ledger(state: str | None, environ: Mapping[str, str]) -> str:
    """The path of the ledger where the project's state folder would be ``state``; None where there is no project.

    It is the real path: a link above it could be moved away and back.
    """
    if state is not None and os.access(state if os.path.exists(state) else os.path.dirname(state), os.W_OK):
        return os.path.join(state, LEDGER)
    folder, name = os.path.split(user_ledger(environ))
    return os.path.join(os.path.realpath(folder), name)


def _make_ledger(path: str) -> None:
    """An empty ledger where there is none yet: what is not there cannot be kept from being made inside."""
    folder = os.path.dirname(path)
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
            _ignore(folder)
        descriptor = os.open(path, os.O_CREAT | os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        if not is_file:
            raise OSError(errno.EINVAL, "it is no regular file")
    except OSError as error:
        from codex_core.errors import LedgerUnavailable

        elsewhere = "set XDG_STATE_HOME to a folder that you can write to"
        raise LedgerUnavailable(
            f"the ledger {path} cannot be made: {error.strerror}",
            hint=f"make {folder} a folder that you can write to" if os.path.basename(folder) == STATE else elsewhere,
        ) from error


def _ignore(folder: str) -> None:
    """Keep a new state folder out of the project's history, as a run does."""
    if os.path.basename(folder) == STATE:
        with open(os.path.join(folder, ".gitignore"), "w", encoding="ascii") as file:
            file.write("*\n")


def _root(folder: str) -> str | None:
    """The nearest folder from ``folder`` up that holds a pipeline file."""
    while not os.path.isfile(os.path.join(folder, PIPELINE_FILE)):
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)
    return folder
