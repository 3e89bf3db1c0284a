"""What ``codex sealed`` takes from the folder that it runs in: the policy, the ledger, and what stays as it is."""
# because importing pathlib costs as much as the seal

from __future__ import annotations

import os
import sys

from codex_core.policy_files import policy_files

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_core.policy import Policy

PIPELINE_FILE = "codex.toml"


class SealedProject:
    """The nearest codex.toml from ``folder`` up, if there is one, and the policy files that judge beside it.

    ConfigError, with all their mistakes, if one of them has any. ``kept``, ``read_only`` and ``writable`` are those of
    the seal's View; ``ledger`` is the path of the ledger, which lies in the user's own state folder where there is no
    project.
    """

    def __init__(self, folder: str, policy_file: str, environ: Mapping[str, str]) -> None:
        root = _root(folder)
        state = None if root is None else os.path.join(root, ".codex")
        self.ledger = os.path.join(state or _state_home(environ), "ledger.ndjson")
        project = "" if root is None else os.path.join(root, PIPELINE_FILE)
        self._files = policy_files(environ, project=project, given=policy_file)
        self._policy: Policy | None = None
        self.kept = [folder, *filter(None, [root]), sys.prefix, sys.base_prefix, os.path.dirname(__file__)]
        protected = [*self._files, self.ledger if state is None else state]
        self.read_only = [path for path in protected if os.path.exists(path)]
        runs = [os.path.join(state, "runs")] if state else []
        self.writable = [path for path in runs if os.path.isdir(path)]
        if self._files:
            self._check(environ)

    def _check(self, environ: Mapping[str, str]) -> None:
        from codex_cli import checks

        if not checks.is_known(self._files, environ):
            self.policy()
            checks.remember(self._files, environ)

    def policy(self) -> Policy:
        """The policy of these files, read when it is first asked for."""
        if self._policy is None:
            from codex_core.project import read_policy

            self._policy = read_policy(self._files)
        return self._policy


def _root(folder: str) -> str | None:
    """The nearest folder from ``folder`` up that holds a pipeline file."""
    while not os.path.isfile(os.path.join(folder, PIPELINE_FILE)):
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)
    return folder


def _state_home(environ: Mapping[str, str]) -> str:
    """``$XDG_STATE_HOME/codex``; a relative value counts as none, as the XDG base directory specification says."""
    base = environ.get("XDG_STATE_HOME", "")
    return os.path.join(base if os.path.isabs(base) else os.path.expanduser("~/.local/state"), "codex")
