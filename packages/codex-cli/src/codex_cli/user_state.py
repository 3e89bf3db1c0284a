"""Where the decisions are kept that belong to no project: in the user's own state folder."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping

LEDGER = "ledger.ndjson"


def user_ledger(environ: Mapping[str, str]) -> str:
    """The path of the user's own ledger, below ``$XDG_STATE_HOME``, as the XDG base directory specification says.

    A relative value of it counts as none, and so does an empty ``$HOME``.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        base = os.path.join(home if os.path.isabs(home) else _home_of_user(), ".local/state")
    return os.path.join(base, "codex", LEDGER)


def _home_of_user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return "/"
