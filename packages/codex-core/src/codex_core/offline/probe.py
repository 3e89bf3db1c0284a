"""The probe: which level this machine gives, found by sealing a program that does nothing."""

from __future__ import annotations

import os

from codex_core.offline.keeper import Keeper
from codex_core.offline.mounts import View
from codex_core.offline.recorder import Recorder
from codex_core.offline.seal import Program
from codex_core.policy import Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codex_core.offline.levels import Fault, Level


def probe() -> tuple[Level, list[Fault]]:
    """The highest level that can be had here, and the faults of those above it. The process must have one thread."""
    keeper = Keeper(required="python")
    try:
        settle(keeper)
    finally:
        keeper.close()
    assert keeper.level is not None  # settle has started something
    return keeper.level, keeper.faults


def settle(keeper: Keeper) -> None:
    """Let ``keeper`` find its level; GuardUnavailable if that is below what it requires."""
    ended: list[int] = []
    program = Program(lambda: 0, folder="/", environment=os.environ, view=View(), own_group=True)
    keeper.start(program, Recorder("probe", Policy, print), lambda status, _: ended.append(status))
    keeper.serve(None, lambda: bool(ended))
