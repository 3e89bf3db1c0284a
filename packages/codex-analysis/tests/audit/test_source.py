from __future__ import annotations

import sys
from collections import Counter

import pytest

from codex_analysis.audit import audit_source


def test_a_file_is_audited_from_its_bytes_to_its_findings() -> None:
    found = audit_source(b"class C:\n    def f(self):\n        raise NotImplementedError('soon')\n", "p/m.py")
    [finding] = found.findings
    assert found.lines == 3
    assert finding.to_json() == {
        "kind": "not-implemented",
        "path": "p/m.py",
        "line": 3,
        "verdict": "stub",
        "fingerprint": finding.fingerprint,
        "qualname": "C.f",
        "message": "raises NotImplementedError: soon",
        "why": "nothing says that others are to implement it",
    }


def test_a_file_that_is_not_python_is_one_finding_and_no_lines() -> None:
    found = audit_source(b"# TODO\nx = (\n", "m.py")
    [finding] = found.findings
    assert (found.lines, finding.kind, finding.verdict, finding.line) == (0, "unreadable", "unknown", 2)


SHAPES = {
    "methods of one name": ("class C:\n", "    def f(self): pass\n"),
    "parts of one property": ("class C:\n", "    @x.setter\n    def x(self, v): pass\n"),
    "a chain of classes": ("class C: x = 1\n", "class C(C):\n    def f(self): pass\n"),
    "classes below one": ("class B:\n    def f(self): return 1\n", "class C(B):\n    def f(self): pass\n"),
    "markers of one expression": ("x = [  # TODO\n", "    1,  # TODO\n"),
    "bindings of one name": ("from typing import Protocol as P\n", "P = P\n"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_as_much_code_is_four_times_as_much_work(shape: str) -> None:
    """Counted in calls, which no other process slows down; a quadratic walk would make sixteen times as many."""
    head, body = SHAPES[shape]
    tail = "]\n" if head.startswith("x = [") else ""

    def calls(count: int) -> int:
        made: Counter[str] = Counter()
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, argument: made.update([event]))
        try:
            audit_source((head + body * count + tail).encode(), "m.py")
        finally:
            sys.setprofile(before)
        return made.total()

    assert calls(50) < calls(400) < 5 * calls(100)
