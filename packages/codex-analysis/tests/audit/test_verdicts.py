from __future__ import annotations

from textwrap import dedent

import pytest

from codex_analysis.audit import audit_source


def verdicts(source: str, path: str = "m.py") -> dict[str, str]:
    """The verdicts of a source text by qualified name, with the kind where it is not an empty body."""
    found = audit_source(dedent(source).encode(), path).findings
    return {item.qualname + (" !" if item.kind == "not-implemented" else ""): item.verdict for item in found}


def test_an_empty_function_is_a_stub_however_it_is_written() -> None:
    source = '''
    def a(): pass
    def b(): ...
    def c():
        """Says something."""
    async def d():
        """Says something."""
        ...
        pass
    def e():
        ...
        "a string that is no docstring"
        0
    class C:
        def f(self): pass
    '''
    assert verdicts(source) == dict.fromkeys(("a", "b", "c", "d", "e", "C.f"), "stub")


def test_a_function_that_does_anything_is_no_finding() -> None:
    source = """
    def a(): return None
    def b(): return
    def c(x): del x
    def d():
        yield
    def e(): (lambda: None)
    def f(): raise ValueError
    class Empty: pass
    class Failure(Exception): ...
    """
    assert verdicts(source) == {}


@pytest.mark.parametrize(
    "raised",
    [
        "raise NotImplementedError",
        "raise NotImplementedError()",
        "raise NotImplementedError('later') from None",
        "raise builtins.NotImplementedError",
        "raise builtins.NotImplementedError('later')",
        "raise b.NotImplementedError",
        "raise Later",
        "raise Alias('later')",
        "raise NotImplemented",
        "if x: raise NotImplementedError",
        "try: x()\n    except NotImplementedError: raise NotImplementedError('too')",
        "for x in y:\n        with x: raise NotImplementedError",
        "match x:\n        case 1: raise NotImplementedError",
        "while x: pass\n    else: raise NotImplementedError",
    ],
)
def test_raising_not_implemented_is_a_stub_however_it_is_written(raised: str) -> None:
    imports = "import builtins, builtins as b\nfrom builtins import NotImplementedError as Later\n"
    assert verdicts(f"{imports}Alias = NotImplementedError\ndef f(x, y):\n    {raised}\n") == {"f !": "stub"}


def test_what_only_resembles_not_implemented_is_no_finding() -> None:
    source = """
    from other import NotImplementedError as Theirs
    class Missing(NotImplementedError): pass
    def a(x): return NotImplemented
    def b(x): raise Missing
    def c(x): raise Theirs
    def d(x): raise x.NotImplementedError
    def e(x):
        try: x()
        except NotImplementedError: raise
    def f(): return "raise NotImplementedError"
    """
    assert verdicts(source) == {}


def test_a_class_of_that_name_hides_the_builtin_in_its_own_scope_only() -> None:
    source = """
    def outside(): raise NotImplementedError
    def inside():
        class NotImplementedError(Exception): pass
        raise NotImplementedError
    """
    assert verdicts(source) == {"outside !": "stub"}


def test_a_raise_outside_every_function_is_a_stub() -> None:
    assert verdicts("class C:\n    raise NotImplementedError\n") == {"C !": "stub"}
    assert verdicts("raise NotImplementedError\n") == {" !": "stub"}


PROTOCOLS = {
    "from typing import Protocol": "Protocol",
    "from typing import Protocol as P": "P",
    "from typing_extensions import Protocol": "Protocol",
    "import typing": "typing.Protocol",
    "import typing as t": "t.Protocol",
    "import typing_extensions as te": "te.Protocol",
    "from typing import *": "Protocol",
    "import typing\nContract = typing.Protocol": "Contract",
    "try:\n    from typing import Protocol\nexcept ImportError:\n    Protocol = object": "Protocol",
    "from typing import Protocol, TypeVar\nT = TypeVar('T')": "Protocol[T]",
    "import typing\nfrom typing import Any": "Sized, typing.Protocol[Any]",
}


@pytest.mark.parametrize(("imports", "base"), PROTOCOLS.items())
def test_members_of_a_protocol_are_contracts_however_it_is_imported(imports: str, base: str) -> None:
    source = (
        f"{imports}\nclass C({base}):\n    def a(self): ...\n    @property\n    def b(self): pass\n"
        "    async def c(self): raise NotImplementedError\n"
    )
    assert verdicts(source) == {"C.a": "contract", "C.b": "contract", "C.c !": "contract"}


@pytest.mark.parametrize(
    "source",
    [
        "class C(Protocol):\n    def a(self): ...\n",
        "from asyncio import Protocol\nclass C(Protocol):\n    def a(self): ...\n",
        "from .typing import Protocol\nclass C(Protocol):\n    def a(self): ...\n",
        "from typing import Protocol\ndef f():\n    Protocol = 1\n    class C(Protocol):\n        def a(self): ...\n",
        "from typing import Protocol\nclass P(Protocol): x: int\nclass C(P):\n    def a(self): ...\n",
        "from typing import Generic, T\nclass C(Generic[T]):\n    def a(self): ...\n",
    ],
)
def test_a_class_that_is_no_protocol_has_stubs(source: str) -> None:
    assert [value for name, value in verdicts(source).items() if name.endswith("C.a")] == ["stub"]


def test_nested_classes_are_judged_each_by_its_own_bases() -> None:
    source = """
    from typing import Protocol
    def make():
        class Outer(Protocol):
            def a(self): ...
            class Plain:
                def b(self): ...
                class Inner(Protocol):
                    if True:
                        def c(self): ...
            def d(self):
                def e(): ...
                return e
        return Outer
    """
    assert verdicts(source) == {
        "make.<locals>.Outer.a": "contract",
        "make.<locals>.Outer.Plain.b": "stub",
        "make.<locals>.Outer.Plain.Inner.c": "contract",
        "make.<locals>.Outer.d.<locals>.e": "stub",
    }


ABSTRACT = {
    "from abc import abstractmethod": "@abstractmethod",
    "from abc import abstractmethod as must": "@must",
    "import abc": "@abc.abstractmethod",
    "import abc as a": "@a.abstractmethod",
    "from abc import *": "@property\n    @abstractmethod",
    "import abc\n": "@classmethod\n    @abc.abstractmethod",
    "import abc\n\n": "@abc.abstractproperty",
    "from typing import overload": "@overload",
    "import typing_extensions as te": "@te.overload",
    "import functools": "@functools.singledispatchmethod",
}


@pytest.mark.parametrize(("imports", "decorators"), ABSTRACT.items())
def test_abstract_and_overloaded_members_are_contracts(imports: str, decorators: str) -> None:
    source = f"{imports}\nclass C(Base):\n    {decorators}\n    def a(self): BODY\n"
    assert verdicts(source.replace("BODY", "pass")) == {"C.a": "contract"}
    assert verdicts(source.replace("BODY", "raise NotImplementedError")) == {"C.a !": "contract"}


def test_a_decorator_means_what_its_name_was_bound_to_above_it() -> None:
    source = """
    from typing import overload
    class C:
        @overload
        def overload(self): ...
        @overload
        def a(self): ...
    """
    assert verdicts(source) == {"C.overload": "contract", "C.a": "stub"}


def test_every_part_of_an_abstract_property_is_a_contract() -> None:
    source = """
    from abc import abstractmethod
    class C:
        @property
        @abstractmethod
        def a(self): ...
        @a.setter
        def a(self, value): raise NotImplementedError
    class D:
        @property
        def b(self): return 1
        @b.setter
        def b(self, value): raise NotImplementedError
    """
    assert verdicts(source) == {"C.a": "contract", "C.a !": "contract", "D.b !": "stub"}


def test_decorators_of_other_modules_make_no_contract() -> None:
    source = """
    from mine import abstractmethod, overload
    @overload
    def a(): ...
    class C:
        @abstractmethod
        def b(self): ...
        @staticmethod
        def c(): ...
    """
    assert verdicts(source) == {"a": "stub", "C.b": "stub", "C.c": "stub"}


def test_the_implementation_after_its_overloads_is_judged_by_itself() -> None:
    source = """
    from typing import overload
    @overload
    def f(x: int) -> int: ...
    @overload
    def f(x: str) -> str: ...
    def f(x): raise NotImplementedError
    """
    found = audit_source(dedent(source).encode(), "m.py").findings
    assert [item.verdict for item in found] == ["contract", "contract", "stub"]


CHECKED = [
    ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:", "else:"),
    ("import typing as t\nif t.TYPE_CHECKING and x:", "else:"),
    ("TYPE_CHECKING = False\nif TYPE_CHECKING:", "else:"),
    ("from typing import TYPE_CHECKING as TC\nif x:\n    y = 1\nelif TC:", "else:"),
]


@pytest.mark.parametrize(("condition", "otherwise"), CHECKED)
def test_what_only_type_checkers_read_is_a_contract(condition: str, otherwise: str) -> None:
    body = "\n    def {0}(): ...\n    class {0}C:\n        def m(self): raise NotImplementedError\n"
    source = condition + body.format("a") + otherwise + body.format("b")
    assert verdicts(source) == {"a": "contract", "aC.m !": "contract", "b": "stub", "bC.m !": "stub"}


def test_the_else_of_not_type_checking_is_a_contract() -> None:
    source = "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    def a(): ...\nelse:\n    def b(): ...\n"
    assert verdicts(source) == {"a": "stub", "b": "contract"}


def test_conditions_inside_do_not_end_what_only_type_checkers_read() -> None:
    source = """
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        if not x:
            def a(): ...
        else:
            def b(): ...
    """
    assert verdicts(source) == {"a": "contract", "b": "contract"}


def test_another_condition_of_that_name_is_no_contract() -> None:
    assert verdicts("from mine import TYPE_CHECKING\nif TYPE_CHECKING:\n    def a(): ...\n") == {"a": "stub"}
    assert verdicts("TYPE_CHECKING = True\nif TYPE_CHECKING:\n    def a(): ...\n") == {"a": "stub"}
    assert verdicts("TYPE_CHECKING = True\nif TYPE_CHECKING or x:\n    def a(): ...\n") == {"a": "stub"}


def test_all_of_a_stub_file_is_a_contract() -> None:
    source = "def a(): ...\nclass C:\n    def b(self): raise NotImplementedError\n"
    assert verdicts(source, "m.pyi") == {"a": "contract", "C.b !": "contract"}
    assert verdicts(source, "m.py") == {"a": "stub", "C.b !": "stub"}


@pytest.mark.parametrize(
    "head",
    [
        "from abc import ABC\nclass C(ABC):",
        "import abc as a\nclass C(Base, a.ABC):",
        "from abc import ABCMeta as Meta\nclass C(metaclass=Meta):",
        "from abc import abstractmethod\nclass C(Base):\n    @abstractmethod\n    def x(self): return 1",
    ],
)
def test_a_method_of_an_abstract_base_that_only_raises_is_a_contract(head: str) -> None:
    source = (
        f'{head}\n    def a(self):\n        """Subclasses say how."""\n        raise NotImplementedError\n'
        "    def b(self, x):\n        if x: return 1\n        raise NotImplementedError\n"
    )
    assert verdicts(source) == {"C.a !": "contract", "C.b !": "stub"}


def test_a_method_of_a_plain_class_that_raises_is_a_stub_even_with_subclasses() -> None:
    source = """
    from abc import ABC
    class Plain:
        def a(self): raise NotImplementedError
    class Child(Plain):
        def a(self): return 1
    class Abstract(ABC): x = 1
    class Concrete(Abstract):
        def b(self): raise NotImplementedError
    """
    assert verdicts(source) == {"Plain.a !": "stub", "Concrete.b !": "stub"}


def test_methods_that_python_takes_as_done_when_they_do_nothing_are_no_ops() -> None:
    source = """
    class C:
        def __init__(self): pass
        def __exit__(self, *exc): pass
        async def __aexit__(self, *exc): pass
        def __del__(self): pass
        def __init_subclass__(cls): ...
        def __enter__(self): pass
        def __len__(self): pass
        def close(self): pass
    class D:
        def __init__(self, path): pass
    def __exit__(): pass
    """
    found = verdicts(source)
    no_ops = {"C.__init__", "C.__exit__", "C.__aexit__", "C.__del__", "C.__init_subclass__"}
    assert {name for name, verdict in found.items() if verdict == "no-op"} == no_ops
    assert set(found) - no_ops == {"C.__enter__", "C.__len__", "C.close", "D.__init__", "__exit__"}


def test_silencing_a_method_of_a_base_class_in_the_file_is_a_no_op() -> None:
    source = """
    from abc import ABC, abstractmethod
    class Base(ABC):
        def close(self): return self.file.close()
        def ready(self): raise NotImplementedError
        @abstractmethod
        def train(self): print("a default")
    class Middle(Base): x = 1
    class Quiet(Middle):
        def close(self): pass
        def ready(self): pass
        def train(self): pass
        def other(self): pass
    """
    assert verdicts(source) == {
        "Base.ready !": "contract",
        "Quiet.close": "no-op",
        "Quiet.ready": "stub",
        "Quiet.train": "stub",
        "Quiet.other": "stub",
    }


def test_an_empty_method_that_a_subclass_in_the_file_fills_in_is_a_no_op() -> None:
    source = """
    class Outer:
        class Base:
            def hook(self): pass
            def never(self): pass
    class Child(Outer.Base):
        def never(self): pass
    class Grandchild(Child):
        def hook(self): return 1
    """
    found = verdicts(source)
    assert found == {"Outer.Base.hook": "no-op", "Outer.Base.never": "stub", "Child.never": "stub"}


def test_a_documented_empty_method_of_an_abstract_base_is_an_optional_hook() -> None:
    source = '''
    from abc import ABC
    class C(ABC):
        def hook(self):
            """Called first; a subclass may want to know."""
        def bare(self): pass
    '''
    assert verdicts(source) == {"C.hook": "no-op", "C.bare": "stub"}


def test_classes_that_derive_from_themselves_are_judged_too() -> None:
    source = """
    class A(A):
        def f(self): pass
    class B(A):
        def f(self): pass
    class A(B):
        def f(self): pass
    """
    assert verdicts(source) == {"A.f": "stub", "B.f": "stub"}
