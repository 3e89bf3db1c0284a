"""Words of a command line that need care before a parser sees them, and what its complaints become."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from codex_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORCE = "--force"
ALL = "*"
"""What a bare ``--force`` stands for; no stage can have this name."""

_STAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def spell_force(words: Sequence[str]) -> list[str]:
    """``words`` with each ``--force`` and its optional STAGE as one word.

    The next word is the STAGE if it could name one: letters, digits, ``-`` and ``_``. A path with a ``/`` or a ``.``
    could not, so ``--force docs/x`` and ``--force ./docs`` force all stages of that pipeline. ``--force=STAGE`` is
    never in doubt.
    """
    spelt: list[str] = []
    bare, options = False, True
    for word in words:
        options = options and word != "--"
        if bare and options and _STAGE.fullmatch(word):
            spelt[-1], bare = f"{FORCE}={word}", False
        else:
            bare = options and word == FORCE
            spelt.append(f"{FORCE}={ALL}" if bare else word)
    return spelt


def usage_error(complaint: Any, words: Sequence[str]) -> UsageError:  # Any: click's exception, or typer's copy of it
    """What a parser complains of, with the help to turn to."""
    context = getattr(complaint, "ctx", None)
    command = context.command_path if context is not None else " ".join(("codex", *words[:1]))
    near, message = getattr(complaint, "possibilities", None), complaint.format_message()
    if hasattr(complaint, "possibilities"):  # an unknown option, which each version of the parser words anew
        message = f"no such option: {complaint.option_name}"
    hint = f"did you mean {near[0]!r}?" if near else f"{command} --help shows what it takes"
    return UsageError(f"{command}: {message[:1].lower()}{message[1:].removesuffix('.')}", hint=hint)
