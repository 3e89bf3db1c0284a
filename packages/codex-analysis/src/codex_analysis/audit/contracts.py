"""Contracts: what in a file says that a function is declared for others to fill in, or for type checkers to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_analysis.audit.shapes import only_raises

if TYPE_CHECKING:
    from codex_analysis.audit.outline import Class, Function

UNRUN = "only type checkers read it"

_DECORATORS = {
    "typing.overload": "one signature of an overloaded function",
    "functools.singledispatch": "the answer for types that nothing is registered for",
    "functools.singledispatchmethod": "the answer for types that nothing is registered for",
}


def contract(function: Function) -> str | None:
    """Why a function is a contract whatever its body is; None if nothing says so."""
    if function.unrun:
        return UNRUN
    if function.abstract:
        return "an abstract member"
    for meaning in sorted(function.decorators & _DECORATORS.keys()):
        return _DECORATORS[meaning]
    if function.owner is not None and _has_base(function.owner, "typing.Protocol"):
        return "a member of a Protocol"
    return None


def abstract_hook(function: Function) -> str | None:
    """Why a function that raises NotImplementedError is one for subclasses to replace; None if nothing says so."""
    if function.owner is not None and is_abstract_base(function.owner) and only_raises(function):
        return "a hook of an abstract base class"
    return None


def is_abstract_base(item: Class) -> bool:
    """Whether a class names ABC or ABCMeta itself, or has an abstract member of its own."""
    return bool(item.abstract) or _has_base(item, "abc.ABC") or "abc.ABCMeta" in item.metaclass


def _has_base(item: Class, meaning: str) -> bool:
    return any(meaning in base for base in item.bases)
