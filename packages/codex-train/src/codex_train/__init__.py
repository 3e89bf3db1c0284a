"""Training runs that resume to the same bits. Names resolve on first use (PEP 562)."""

from __future__ import annotations

from importlib import import_module

from codex_train.__about__ import __version__

TYPE_CHECKING = False  # importing typing would cost more than all the rest; type checkers know the name
if TYPE_CHECKING:
    from codex_train.checkpoint import Checkpoint, read_checkpoint
    from codex_train.checkpoint_folder import list_checkpoints
    from codex_train.run import Run
    from codex_train.run_file import RunFile, read_run
    from codex_train.signals import RunInterrupted

_HOMES = {
    "Checkpoint": "checkpoint",
    "Run": "run",
    "RunFile": "run_file",
    "RunInterrupted": "signals",
    "list_checkpoints": "checkpoint_folder",
    "read_checkpoint": "checkpoint",
    "read_run": "run_file",
}

__all__ = [
    "Checkpoint",
    "Run",
    "RunFile",
    "RunInterrupted",
    "__version__",
    "list_checkpoints",
    "read_checkpoint",
    "read_run",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
