"""Contracts, policy and guard that every Codex package agrees on. Names resolve on first use (PEP 562)."""

from __future__ import annotations

from codex_core.__about__ import __version__

TYPE_CHECKING = False  # importing typing would cost more than all the rest; type checkers know the name
if TYPE_CHECKING:
    from codex_core.digest import canonical_json, digest_file, digest_folder, digest_json
    from codex_core.errors import CodexError, PolicyRefused
    from codex_core.events import Event, NdjsonWriter
    from codex_core.ledger import Ledger
    from codex_core.policy import Decision, Policy, Request, Rule, decide
    from codex_core.registry import Registry

_HOMES = {
    "CodexError": "errors",
    "Decision": "policy",
    "Event": "events",
    "Ledger": "ledger",
    "NdjsonWriter": "events",
    "Policy": "policy",
    "PolicyRefused": "errors",
    "Registry": "registry",
    "Request": "policy",
    "Rule": "policy",
    "canonical_json": "digest",
    "decide": "policy",
    "digest_file": "digest",
    "digest_folder": "digest",
    "digest_json": "digest",
}

__all__ = [
    "CodexError",
    "Decision",
    "Event",
    "Ledger",
    "NdjsonWriter",
    "Policy",
    "PolicyRefused",
    "Registry",
    "Request",
    "Rule",
    "__version__",
    "canonical_json",
    "decide",
    "digest_file",
    "digest_folder",
    "digest_json",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # here: it imports warnings, and a sealed command needs neither

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
