"""Installation: the line that installs a package of Codex that is absent."""

from __future__ import annotations


def install_line(extra: str) -> str:
    """The command that installs the package behind ``extra`` of codex-cli from a wheelhouse, asking no index."""
    return f'pip install --no-index --find-links WHEELHOUSE "codex-cli[{extra}]"'
