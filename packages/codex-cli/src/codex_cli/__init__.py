"""The codex command and its pipeline runner. Names resolve on first use (PEP 562), so the front door stays quick."""

from __future__ import annotations

from codex_cli.__about__ import __version__

TYPE_CHECKING = False  # typing's own costs the front door 5 ms; type checkers know the name
if TYPE_CHECKING:
    from codex_cli.door import main

_HOMES = {"main": "door"}

__all__ = ["__version__", "main"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
