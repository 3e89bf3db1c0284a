"""Verdicts: whether an empty or unimplemented function is a stub, a contract that others fill in, or a no-op.

The README lists the rules; each stands here as one function that gives the reason, or None.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from codex_analysis.audit.shapes import empty_form, is_documented, only_raises

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from codex_analysis.audit.findings import Verdict
    from codex_analysis.audit.outline import Class, Function, Outline, Raise

_ABSTRACT = {"abstractmethod", "abstractproperty", "abstractclassmethod", "abstractstaticmethod"}
_ABSTRACT_DECORATORS = frozenset(f"abc.{name}" for name in _ABSTRACT)
_OTHER_DECORATORS = {
    "typing.overload": "one signature of an overloaded function",
    "functools.singledispatch": "the answer for types that nothing is registered for",
    "functools.singledispatchmethod": "the answer for types that nothing is registered for",
}
_PROPERTY_PARTS = frozenset({"getter", "setter", "deleter"})
_MAY_BE_IDLE = frozenset({"__exit__", "__aexit__", "__del__", "__init_subclass__"})


class Judgement(NamedTuple):
    """A verdict and the reason for it."""

    verdict: Verdict
    why: str


def judge_empty(function: Function, outline: Outline) -> Judgement:
    """The verdict on a function whose body does nothing."""
    if (why := _contract(function)) is not None:
        return Judgement("contract", why)
    if (why := _no_op(function, outline)) is not None:
        return Judgement("no-op", why)
    return Judgement("stub", "nothing says that it is meant to do nothing")


def judge_raise(item: Raise) -> Judgement:
    """The verdict on a raise of NotImplementedError."""
    if item.unrun:
        return Judgement("contract", _UNRUN)
    function = item.function
    if function is not None and (why := _contract(function) or _abstract_hook(function)) is not None:
        return Judgement("contract", why)
    return Judgement("stub", "nothing says that others are to implement it")


_UNRUN = "only type checkers read it"


def _contract(function: Function) -> str | None:
    if function.unrun:
        return _UNRUN
    if _is_abstract(function):
        return "an abstract member"
    for meaning in sorted(frozenset().union(*function.decorators)):
        if meaning in _OTHER_DECORATORS:
            return _OTHER_DECORATORS[meaning]
    if function.owner is not None and _has_base(function.owner, "typing.Protocol"):
        return "a member of a Protocol"
    return None


def _abstract_hook(function: Function) -> str | None:
    if function.owner is not None and _is_abstract_base(function.owner) and only_raises(function):
        return "a hook of an abstract base class"
    return None


def _no_op(function: Function, outline: Outline) -> str | None:
    owner, name = function.owner, function.node.name
    if owner is None:
        return None
    if name in _MAY_BE_IDLE or (name == "__init__" and _takes_nothing(function)):
        return f"Python takes {name} as done when it does nothing"
    if any(_does_something(method) for base in _reachable(owner, outline.bases) for method in _named(base, name)):
        return "it silences the method of a base class in this file"
    if any(_does_something(method) for child in _reachable(owner, outline.derived) for method in _named(child, name)):
        return "a hook that a class in this file fills in"
    if _is_abstract_base(owner) and is_documented(function.node):
        return "an optional hook of an abstract base class, with its docstring"
    return None


def _is_abstract(function: Function) -> bool:
    """Marked abstract, or one more part of a property that is."""
    if _is_marked(function):
        return True
    for decorator in function.node.decorator_list:
        if isinstance(decorator, ast.Attribute) and decorator.attr in _PROPERTY_PARTS:
            name = decorator.value.id if isinstance(decorator.value, ast.Name) else ""
            if function.owner is not None and any(_is_marked(part) for part in _named(function.owner, name)):
                return True
    return False


def _is_marked(function: Function) -> bool:
    return any(not _ABSTRACT_DECORATORS.isdisjoint(decorator) for decorator in function.decorators)


def _is_abstract_base(item: Class) -> bool:
    """Whether a class names ABC or ABCMeta itself, or has an abstract member of its own."""
    if _has_base(item, "abc.ABC") or "abc.ABCMeta" in item.metaclass:
        return True
    return any(_is_marked(method) for methods in item.methods.values() for method in methods)


def _has_base(item: Class, meaning: str) -> bool:
    return any(meaning in base for base in item.bases)


def _takes_nothing(function: Function) -> bool:
    """Whether a method has no parameter but the object itself."""
    args = function.node.args
    return len(args.posonlyargs) + len(args.args) == 1 and not (args.vararg or args.kwonlyargs or args.kwarg)


def _does_something(function: Function) -> bool:
    return empty_form(function.node) is None and not only_raises(function) and _contract(function) is None


def _named(item: Class, name: str) -> Iterable[Function]:
    return item.methods.get(name, ())


def _reachable(start: Class, step: Callable[[Class], list[Class]]) -> Iterable[Class]:
    """The classes that ``step`` leads to from ``start``, itself not among them."""
    seen = {start}
    pending = [start]
    while pending:
        for found in step(pending.pop()):
            if found not in seen:
                seen.add(found)
                pending.append(found)
                yield found
