"""Stores for offline machines: local files, the standard library, and refusals that explain themselves.

Names resolve on first use (PEP 562), so that importing this package costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module

from codex_connectors.__about__ import __version__

TYPE_CHECKING = False  # importing typing would cost more than all the rest; type checkers know the name
if TYPE_CHECKING:
    from codex_connectors.fallbacks import enumerate_fallbacks
    from codex_connectors.local import LocalStore
    from codex_connectors.refusal import RemoteStore
    from codex_connectors.selection import Selection
    from codex_connectors.stdlib import StdlibStore
    from codex_connectors.stores import Store, open_connector, open_store
    from codex_connectors.transfer import copy_folder, get_object, put_file

_HOMES = {
    "LocalStore": "local",
    "RemoteStore": "refusal",
    "Selection": "selection",
    "StdlibStore": "stdlib",
    "Store": "stores",
    "copy_folder": "transfer",
    "enumerate_fallbacks": "fallbacks",
    "get_object": "transfer",
    "open_connector": "stores",
    "open_store": "stores",
    "put_file": "transfer",
}

__all__ = [
    "LocalStore",
    "RemoteStore",
    "Selection",
    "StdlibStore",
    "Store",
    "__version__",
    "copy_folder",
    "enumerate_fallbacks",
    "get_object",
    "open_connector",
    "open_store",
    "put_file",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
