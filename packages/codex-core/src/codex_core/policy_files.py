"""Policy files: which of them judge here, in the order of their layers."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = "/etc/codex/policy.toml"
"""The policy of the machine's keeper, which holds for everybody on it."""
VARIABLE = "CODEX_POLICY"
"""The environment variable that names one more policy file."""


def policy_files(environ: Mapping[str, str], *, project: str = "", given: str = "", site: str = SITE) -> list[str]:
    """The absolute paths of the layers: the site's, the pipeline file ``project``, $CODEX_POLICY's, and ``given``.

    Each that is named is among them, so that one that is not there is a mistake; the site's only where it exists.
    """
    named = [project, environ.get(VARIABLE, ""), given]
    return [*([site] if os.path.lexists(site) else []), *(os.path.abspath(path) for path in named if path)]
