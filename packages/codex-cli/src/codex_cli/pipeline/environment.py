"""The environment of a stage: what makes two runs alike, whatever the one who starts them has set."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_cli.pipeline.model import StageSpec


def stage_environment(stage: StageSpec, seed: int, inherited: Mapping[str, str], *, scratch: Path) -> dict[str, str]:
    """The environment of a stage: what it inherits, its own table, and what makes two runs alike.

    ``python`` in a command is the one that Codex runs in. Bytecode is not written, since a cache beside an input or
    an output would be one more file; string hashes do not change from run to run.
    """
    path = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), inherited.get("PATH", os.defpath))))
    fixed = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    own = {"CODEX_SEED": str(seed), "CODEX_STAGE": stage.name, "TMPDIR": str(scratch)}
    return {**inherited, **fixed, **stage.env, **own}
