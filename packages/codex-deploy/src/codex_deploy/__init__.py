"""Bundles that can be verified without a network: nothing yet but the version; the README says what comes next."""

from codex_deploy.__about__ import __version__

__all__ = ["__version__"]
