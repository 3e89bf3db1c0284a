"""Shapes: what the body of a function amounts to, and what a raise raises."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_analysis.audit.names import Scope
    from codex_analysis.audit.outline import Def, Function

_NOT_IMPLEMENTED = frozenset({"builtins.NotImplementedError", "builtins.NotImplemented"})


def empty_form(node: Def) -> str | None:
    """What stands in a body that does nothing, such as ``docstring, ...``; None for a body that does something."""
    forms = [_idle_form(statement, first=not index) for index, statement in enumerate(node.body)]
    return None if None in forms else ", ".join(dict.fromkeys(form for form in forms if form is not None))


def is_documented(node: Def) -> bool:
    """Whether the body begins with a docstring."""
    return _idle_form(node.body[0], first=True) == "docstring"


def raises_not_implemented(node: ast.Raise, scope: Scope) -> bool:
    """Whether NotImplementedError is raised, or NotImplemented, which Python answers with a TypeError."""
    name = _raised(node)
    return name is not None and not _NOT_IMPLEMENTED.isdisjoint(scope.meanings(name))


def only_raises(function: Function) -> bool:
    """Whether a function does nothing but raise NotImplementedError."""
    doing = [statement for statement in function.node.body if _idle_form(statement, first=False) is None]
    raised = doing[0] if len(doing) == 1 else None
    return isinstance(raised, ast.Raise) and raises_not_implemented(raised, function.scope)


def raise_message(node: ast.Raise) -> str:
    """The message that a raise gives as a plain string; empty if it gives none."""
    if isinstance(node.exc, ast.Call) and node.exc.args:
        first = node.exc.args[0]
        return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return ""


def _raised(node: ast.Raise) -> ast.expr | None:
    return node.exc.func if isinstance(node.exc, ast.Call) else node.exc


def _idle_form(statement: ast.stmt, *, first: bool) -> str | None:
    """How a statement that does nothing is written; None for one that does something."""
    if isinstance(statement, ast.Pass):
        return "pass"
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return None
    if statement.value.value is ...:
        return "..."
    return "docstring" if first and isinstance(statement.value.value, str) else "a constant"
