"""Training runs that resume to the same bits: nothing yet but the version; the README says what comes next."""

from codex_train.__about__ import __version__

__all__ = ["__version__"]
