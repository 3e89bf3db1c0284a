"""The outline of a module: its classes, functions and raises, each with the scope and the class that it stands in."""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

from codex_analysis.audit.names import LOCAL, Scope, bind_statement

Def = ast.FunctionDef | ast.AsyncFunctionDef

_ABSTRACT = frozenset(f"abc.abstract{kind}" for kind in ("method", "property", "classmethod", "staticmethod"))
_PROPERTY_PARTS = frozenset({"getter", "setter", "deleter"})


@dataclass(frozen=True, eq=False)
class Class:
    """A class statement: its scope, what each of its bases and its metaclass may mean, and its functions by name.

    ``parents`` are the bases that this module defines, ``children`` the classes of this module that have it as such.
    ``abstract`` are the names of its abstract members.
    """

    node: ast.ClassDef
    scope: Scope
    bases: tuple[frozenset[str], ...]
    metaclass: frozenset[str]
    parents: tuple[Class, ...]
    children: list[Class] = field(default_factory=list)
    methods: dict[str, list[Function]] = field(default_factory=dict)
    abstract: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class Function:
    """A def statement: its scope, and all that its decorators may mean.

    ``owner`` is the class whose member it is; ``unrun`` says that only type checkers read it.
    """

    node: Def
    scope: Scope
    decorators: frozenset[str]
    owner: Class | None
    abstract: bool
    unrun: bool


@dataclass(frozen=True, eq=False)
class Raise:
    """A raise statement, with the innermost function around it, if there is one."""

    node: ast.Raise
    scope: Scope
    function: Function | None
    unrun: bool


@dataclass(frozen=True, eq=False)
class Outline:
    """What a module defines and raises, in the order of its text.

    ``starts`` has the line (from 1) and the column (from 0, in bytes) of every statement. ``latest`` has the classes by
    what ``Scope.meanings`` calls them; of two with one name, the second.
    """

    classes: list[Class] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    raises: list[Raise] = field(default_factory=list)
    starts: list[tuple[int, int]] = field(default_factory=list)
    latest: dict[str, Class] = field(default_factory=dict)

    def qualname_at(self, line: int) -> str:
        """The qualified name of the innermost class or function whose lines hold ``line``; empty for none."""
        starts, spans = self._spans
        index = bisect_right(starts, line) - 1
        while index >= 0:
            last_line, around, qualname = spans[index]
            if line <= last_line:
                return qualname
            index = around
        return ""

    @cached_property
    def _spans(self) -> tuple[list[int], list[tuple[int, int, str]]]:
        """First lines in order, and for each its last line, the index of the span around it or -1, and its name."""
        items: list[Class | Function] = [*self.classes, *self.functions]
        items.sort(key=lambda item: (_first_line(item.node), item.node.col_offset))
        spans: list[tuple[int, int, str]] = []
        around: list[int] = []
        for item in items:
            while around and spans[around[-1]][0] < _first_line(item.node):
                around.pop()
            spans.append((item.node.end_lineno or 0, around[-1] if around else -1, item.scope.qualname))
            around.append(len(spans) - 1)
        return [_first_line(item.node) for item in items], spans


def draw_outline(tree: ast.Module, *, unrun: bool = False) -> Outline:
    """The outline of a module, by one walk over its statements; ``unrun`` for a stub file, which nothing runs."""
    outline = Outline()
    place = _Place(outline, Scope(), unrun=unrun)
    pending = [(statement, place) for statement in reversed(tree.body)]
    while pending:  # no recursion: every elif of a chain is nested in the one before
        statement, place = pending.pop()
        outline.starts.append((statement.lineno, statement.col_offset))
        enter = _ENTER.get(type(statement))
        if enter is not None:
            pending.extend(reversed(enter(statement, place)))
    return outline


@dataclass(frozen=True)
class _Place:
    """Where a statement stands: ``owner`` is a class whose body it is in, ``function`` the innermost around it."""

    outline: Outline
    scope: Scope
    owner: Class | None = None
    function: Function | None = None
    unrun: bool = False


_Inside = list[tuple[ast.stmt, _Place]]
"""The statements inside a statement, each with its place."""


def _enter_function(node: Def, place: _Place) -> _Inside:
    scope = Scope(place.scope.inner_name(node.name), place.scope)
    decorators = frozenset().union(*(place.scope.meanings(decorator) for decorator in node.decorator_list))
    abstract = not _ABSTRACT.isdisjoint(decorators) or _extends_abstract_property(node, place.owner)
    function = Function(node, scope, decorators, place.owner, abstract, place.unrun)
    place.outline.functions.append(function)
    place.scope.bind_unknown(node.name)
    if place.owner is not None:
        place.owner.methods.setdefault(node.name, []).append(function)
        place.owner.abstract.update({node.name} if abstract else ())
    inside = _Place(place.outline, scope, None, function, place.unrun)
    return [(inner, inside) for inner in node.body]


def _extends_abstract_property(node: Def, owner: Class | None) -> bool:
    """Whether a decorator is ``NAME.setter`` or another part of a property, and NAME is abstract."""
    parts = (item for item in node.decorator_list if isinstance(item, ast.Attribute) and item.attr in _PROPERTY_PARTS)
    names = {item.value.id for item in parts if isinstance(item.value, ast.Name)}
    return owner is not None and not names.isdisjoint(owner.abstract)


def _enter_class(node: ast.ClassDef, place: _Place) -> _Inside:
    scope = Scope(place.scope.inner_name(node.name), place.scope, is_class=True)
    bases = tuple(place.scope.meanings(base) for base in node.bases)
    metaclass = (place.scope.meanings(word.value) for word in node.keywords if word.arg == "metaclass")
    latest = place.outline.latest
    parents = tuple(latest[meaning] for base in bases for meaning in sorted(base) if meaning in latest)
    item = Class(node, scope, bases, frozenset().union(*metaclass), parents)
    for parent in parents:
        parent.children.append(item)
    place.outline.classes.append(item)
    latest[LOCAL + scope.qualname] = item
    place.scope.bind(node.name, LOCAL + scope.qualname)
    inside = _Place(place.outline, scope, item, None, place.unrun)
    return [(inner, inside) for inner in node.body]


def _enter_if(node: ast.If, place: _Place) -> _Inside:
    """Both branches, the one for type checkers marked: ``if TYPE_CHECKING`` or the else of ``if not TYPE_CHECKING``."""
    body = orelse = place
    if _is_for_checkers(node.test, place.scope):
        body = replace(place, unrun=True)
    elif isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not):
        orelse = replace(place, unrun=_is_for_checkers(node.test.operand, place.scope) or place.unrun)
    return [*((inner, body) for inner in node.body), *((inner, orelse) for inner in node.orelse)]


def _is_for_checkers(test: ast.expr, scope: Scope) -> bool:
    terms = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
    return any("typing.TYPE_CHECKING" in scope.meanings(term) for term in terms)


def _enter_block(node: ast.stmt, place: _Place) -> _Inside:
    inside: _Inside = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            inside.append((child, place))
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            inside.extend((inner, place) for inner in child.body)
    return inside


def _enter_raise(node: ast.Raise, place: _Place) -> _Inside:
    place.outline.raises.append(Raise(node, place.scope, place.function, place.unrun))
    return []


def _enter_binding(node: ast.stmt, place: _Place) -> _Inside:
    bind_statement(place.scope, node)
    return []


_BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_BINDINGS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
_ENTER: dict[type[ast.stmt], Callable[..., _Inside]] = {  # each takes the statement type that is its key
    **dict.fromkeys(_BLOCKS, _enter_block),
    **dict.fromkeys(_BINDINGS, _enter_binding),
    ast.FunctionDef: _enter_function,
    ast.AsyncFunctionDef: _enter_function,
    ast.ClassDef: _enter_class,
    ast.If: _enter_if,
    ast.Raise: _enter_raise,
}


def _first_line(node: Def | ast.ClassDef) -> int:
    """The line of the first decorator, or of the statement itself."""
    return min((node.lineno, *(decorator.lineno for decorator in node.decorator_list)))
