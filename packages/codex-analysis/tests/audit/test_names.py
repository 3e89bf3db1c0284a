from __future__ import annotations

import ast
from textwrap import dedent

from codex_analysis.audit.names import Scope, bind_statement


def scope_of(source: str, parent: Scope | None = None, *, is_class: bool = False) -> Scope:
    scope = Scope("outer" if parent is None else "outer.inner", parent, is_class)
    for statement in ast.parse(dedent(source)).body:
        bind_statement(scope, statement)
    return scope


def meanings(scope: Scope, text: str) -> set[str]:
    return set(scope.meanings(ast.parse(text, mode="eval").body))


def test_imports_and_aliases_are_resolved_to_dotted_names() -> None:
    scope = scope_of(
        """
        import a, b.c, d.e as f
        from g import h, i as j
        k = l = j
        m: type = b.c.n
        """
    )
    found = {text: meanings(scope, text) for text in ("a.x", "b.c", "f.x", "h", "j.x", "k", "l", "m", "h[a].x", "h[a]")}
    assert found == {
        "a.x": {"a.x"},
        "b.c": {"b.c"},
        "f.x": {"d.e.x"},
        "h": {"g.h"},
        "j.x": {"g.i.x"},
        "k": {"g.i"},
        "l": {"g.i"},
        "m": {"b.c.n"},
        "h[a].x": set(),
        "h[a]": {"g.h"},
    }


def test_a_name_that_only_a_run_would_tell_means_nothing() -> None:
    scope = scope_of("from . import a\nfrom .b import c\nd = make()\ne = [1]\n")
    assert [meanings(scope, text) for text in ("a", "c", "d", "e.f", "make()", "1")] == [set()] * 6


def test_an_unbound_name_is_a_builtin_or_comes_from_a_star() -> None:
    assert meanings(scope_of(""), "len") == {"builtins.len"}
    assert meanings(scope_of("from typing_extensions import *\n"), "Protocol") == {
        "typing.Protocol",
        "builtins.Protocol",
    }


def test_both_branches_of_a_fallback_count() -> None:
    assert meanings(scope_of("from typing import P\nfrom typing_extensions import P\nP = 1\n"), "P") == {"typing.P"}


def test_names_are_looked_up_outwards_and_past_classes() -> None:
    module = scope_of("import a, b, c\n")
    body = scope_of("a = 1\n", module, is_class=True)
    method = scope_of("b = 1\n", body)
    assert [meanings(body, name) for name in "abc"] == [set(), {"b"}, {"c"}]
    assert [meanings(method, name) for name in "abc"] == [{"a"}, set(), {"c"}]


def test_inner_names_are_those_of_pep_3155() -> None:
    function = Scope("f", Scope())
    assert (Scope().inner_name("x"), function.inner_name("x")) == ("x", "f.<locals>.x")
    assert Scope("C", Scope(), is_class=True).inner_name("x") == "C.x"
