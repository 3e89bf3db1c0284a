"""Recovery: the newest checkpoint that is whole, and what is wrong with those that are newer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.errors import Problem, VerificationError
from codex_train.checkpoint import read_checkpoint
from codex_train.checkpoint_folder import discard_drafts, list_checkpoints, set_aside, step_of

if TYPE_CHECKING:
    from pathlib import Path

    from codex_train.checkpoint import Checkpoint

_HINT = "put it back from a copy, or remove the run folder to begin anew"


@dataclass(frozen=True)
class Recovery:
    """``checkpoint`` is None where there is none at all; ``damage`` says of each newer one what is wrong with it."""

    checkpoint: Checkpoint | None
    damage: tuple[str, ...] = ()


def recover(folder: Path) -> Recovery:
    """Read the newest whole checkpoint below ``folder``, and give the damaged ones that are newer another name.

    VerificationError, with what is wrong with each, if there are checkpoints and none is whole; then all stay.
    """
    if not folder.is_dir():
        return Recovery(None)
    discard_drafts(folder)
    damaged: dict[Path, VerificationError] = {}
    for place in reversed(list_checkpoints(folder)):
        try:
            checkpoint = read_checkpoint(place)
            if checkpoint.step != step_of(place):
                raise VerificationError(f"{place.name} is of step {checkpoint.step}, so it was not written there")
        except VerificationError as error:
            damaged[place] = error
        else:
            for bad in damaged:
                set_aside(bad)
            return Recovery(checkpoint, tuple(error.message for error in damaged.values()))
    if damaged:
        raise VerificationError(
            f"no checkpoint in {folder} can be read",
            problems=[Problem(VerificationError.code, error.message, _HINT) for error in damaged.values()],
        )
    return Recovery(None)
