"""Names: what a name in a file stands for, by the imports, aliases and definitions of that file alone.

A name is looked up as Python does it: in the scope where it stands, then in those around it, past the bodies of
classes. Bindings of one scope add up, so that a ``try: import`` with a fallback means what either branch says. A file
is read from top to bottom: a decorator or a base means what its name was bound to above it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

LOCAL = ":"
"""What the meaning of a class of the file itself begins with; its qualified name follows."""

_UNKNOWN = ""


@dataclass(frozen=True, eq=False)
class Scope:
    """The body of a module, a class or a function, and what its statements bind.

    ``qualname`` is empty for the module. ``bindings`` has the dotted meanings of each name, ``_UNKNOWN`` for one that
    only a run would tell; ``stars`` are the modules whose names were all imported.
    """

    qualname: str = ""
    parent: Scope | None = None
    is_class: bool = False
    bindings: dict[str, set[str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    def inner_name(self, name: str) -> str:
        """The ``__qualname__`` (PEP 3155) of what this scope defines as ``name``."""
        if not self.qualname:
            return name
        return f"{self.qualname}.{name}" if self.is_class else f"{self.qualname}.<locals>.{name}"

    def bind(self, name: str, meaning: str) -> None:
        """Let ``name`` stand for ``meaning`` as well."""
        self.bindings.setdefault(name, set()).add(meaning)

    def bind_unknown(self, name: str) -> None:
        """Let ``name`` stand for something that only a run would tell, and so no longer for what it means outside."""
        self.bind(name, _UNKNOWN)

    def meanings(self, expression: ast.expr) -> frozenset[str]:
        """What a dotted name may stand for, such as ``typing.Protocol``, also with type arguments in brackets.

        Empty for any other expression.
        """
        parts = _parts(expression.value if isinstance(expression, ast.Subscript) else expression)
        if not parts:
            return frozenset()
        found = (".".join((origin, *parts[1:])) for origin in self._origins(parts[0]) if origin != _UNKNOWN)
        return frozenset(_canonical(meaning) for meaning in found)

    def _origins(self, name: str) -> set[str]:
        scope: Scope | None = self
        stars: list[str] = []
        while scope is not None:
            if name in scope.bindings and (scope is self or not scope.is_class):
                return scope.bindings[name]
            stars += scope.stars
            scope = scope.parent
        return {f"{module}.{name}" for module in (*stars, "builtins")}


def bind_statement(scope: Scope, statement: ast.stmt) -> None:
    """Note in ``scope`` what an import or an assignment binds; other statements bind nothing here."""
    match statement:
        case ast.Import(names=names):
            for alias in names:
                scope.bind(alias.asname or _first(alias.name), alias.name if alias.asname else _first(alias.name))
        case ast.ImportFrom(module=module, names=names, level=level):
            _bind_from(scope, _UNKNOWN if level else module or _UNKNOWN, names)
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                _bind_target(scope, target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _bind_target(scope, target, value)


def _bind_from(scope: Scope, module: str, names: list[ast.alias]) -> None:
    for alias in names:
        if alias.name != "*":
            scope.bind(alias.asname or alias.name, f"{module}.{alias.name}" if module else _UNKNOWN)
        elif module:
            scope.stars.append(module)


def _bind_target(scope: Scope, target: ast.expr, value: ast.expr) -> None:
    if not isinstance(target, ast.Name):
        return
    if target.id == "TYPE_CHECKING" and isinstance(value, ast.Constant) and value.value is False:
        scope.bind(target.id, "typing.TYPE_CHECKING")  # type checkers take this spelling, which spares the import
        return
    for meaning in scope.meanings(value) or {_UNKNOWN}:
        scope.bind(target.id, meaning)


def _parts(expression: ast.expr) -> list[str]:
    """The names of ``a.b.c``; none for an expression that is no dotted name."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    return [expression.id, *reversed(parts)] if isinstance(expression, ast.Name) else []


def _first(dotted: str) -> str:
    return dotted.partition(".")[0]


def _canonical(meaning: str) -> str:
    return meaning.replace("typing_extensions.", "typing.", 1) if meaning.startswith("typing_extensions.") else meaning
