"""No-ops: what in a file says that an empty method does nothing on purpose."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from codex_analysis.audit.contracts import contract, is_abstract_base
from codex_analysis.audit.shapes import empty_form, is_documented, only_raises

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from codex_analysis.audit.outline import Class, Function, Outline

_MAY_BE_IDLE = frozenset({"__exit__", "__aexit__", "__del__", "__init_subclass__"})


class NoOps:
    """Tells the no-ops of one module, with one walk over its classes for each name that is asked for."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._below: dict[str, set[Class]] = {}
        self._above: dict[str, set[Class]] = {}

    def reason(self, function: Function) -> str | None:
        """Why an empty function is a no-op; None if nothing says so."""
        owner, name = function.owner, function.node.name
        if owner is None:
            return None
        if name in _MAY_BE_IDLE or (name == "__init__" and _takes_nothing(function)):
            return f"Python takes {name} as done when it does nothing"
        if owner in self._reached(self._below, name, lambda item: item.children):
            return "it silences the method of a base class in this file"
        if owner in self._reached(self._above, name, lambda item: item.parents):
            return "a hook that a class in this file fills in"
        if is_abstract_base(owner) and is_documented(function.node):
            return "an optional hook of an abstract base class, with its docstring"
        return None

    @cached_property
    def _working(self) -> dict[str, list[Class]]:
        """The classes whose method of a name does something; few modules have an empty method that asks for them."""
        found: dict[str, list[Class]] = {}
        for item in self._outline.classes:
            for name, methods in item.methods.items():
                if any(_does_something(method) for method in methods):
                    found.setdefault(name, []).append(item)
        return found

    def _reached(self, known: dict[str, set[Class]], name: str, step: Callable[[Class], Iterable[Class]]) -> set[Class]:
        """The classes that ``step`` leads to from those whose method ``name`` does something."""
        if name not in known:
            known[name] = set()
            pending = list(self._working.get(name, ()))
            while pending:
                found = set(step(pending.pop())) - known[name]
                known[name] |= found
                pending.extend(found)
        return known[name]


def _takes_nothing(function: Function) -> bool:
    """Whether a method has no parameter but the object itself."""
    args = function.node.args
    return len(args.posonlyargs) + len(args.args) == 1 and not (args.vararg or args.kwonlyargs or args.kwarg)


def _does_something(function: Function) -> bool:
    return empty_form(function.node) is None and not only_raises(function) and contract(function) is None
