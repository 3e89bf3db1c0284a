"""The environment of a sealed program: switches on, ways out gone, and the guard in every Python that starts."""

from __future__ import annotations

import os

from codex_core.offline.switches import offline_environment

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping

_INSIDE = f"{__file__.rpartition('/')[0]}/inside"


def sealed_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """``inherited`` as a sealed program gets it."""
    known = [path for path in inherited.get("PYTHONPATH", "").split(os.pathsep) if path not in {"", _INSIDE}]
    return {**offline_environment(inherited), "PYTHONPATH": os.pathsep.join([_INSIDE, *known])}
