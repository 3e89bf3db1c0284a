"""Bundles that can be verified without a network: packaging, verification, and the targets that they go to.

Names resolve on first use (PEP 562), so that importing this package costs almost nothing.
"""

from __future__ import annotations

from importlib import import_module

from codex_deploy.__about__ import __version__

TYPE_CHECKING = False  # importing typing would cost more than all the rest; type checkers know the name
if TYPE_CHECKING:
    from codex_deploy.content import Content, examine
    from codex_deploy.flaws import Flaw
    from codex_deploy.layout_check import open_bundle, read_layout
    from codex_deploy.package import create_bundle
    from codex_deploy.targets import open_target
    from codex_deploy.verification import Verification, verify

_HOMES = {
    "Content": "content",
    "Flaw": "flaws",
    "Verification": "verification",
    "create_bundle": "package",
    "examine": "content",
    "open_bundle": "layout_check",
    "open_target": "targets",
    "read_layout": "layout_check",
    "verify": "verification",
}

__all__ = [
    "Content",
    "Flaw",
    "Verification",
    "__version__",
    "create_bundle",
    "examine",
    "open_bundle",
    "open_target",
    "read_layout",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
