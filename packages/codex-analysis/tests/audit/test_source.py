from __future__ import annotations

import time

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


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_four_times_as_much_code_takes_about_four_times_as_long(shape: str) -> None:
    """A quadratic walk would take sixteen times as long."""
    head, body = SHAPES[shape]
    tail = "]\n" if head.startswith("x = [") else ""

    def seconds(count: int) -> float:
        data = (head + body * count + tail).encode()
        times = []
        for _ in range(3):
            start = time.process_time()
            assert audit_source(data, "m.py").lines > count
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(4000) < 10 * seconds(1000)
