"""The user's own folders for what belongs to no project, and the ledger that lies in one of them."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping

LEDGER = "ledger.ndjson"
"""What a ledger is called, wherever it lies."""


def cache_folder(environ: Mapping[str, str]) -> str:
    """``$XDG_CACHE_HOME/codex``, for what may be removed at any time."""
    return _folder(environ, "XDG_CACHE_HOME", ".cache")


def user_ledger(environ: Mapping[str, str]) -> str:
    """The path of the user's own ledger, in ``$XDG_STATE_HOME/codex``."""
    return os.path.join(_folder(environ, "XDG_STATE_HOME", ".local/state"), LEDGER)


def _folder(environ: Mapping[str, str], variable: str, below_home: str) -> str:
    """What the XDG base directory specification says; a relative value counts as none, and so does an empty home."""
    base = environ.get(variable, "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        base = os.path.join(home if os.path.isabs(home) else _home_of_user(), below_home)
    return os.path.join(base, "codex")


def _home_of_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"
