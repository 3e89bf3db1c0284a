from __future__ import annotations

import ast
import codecs
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_analysis.audit import audit_source
from codex_analysis.audit.read import Source, Unreadable, read_source


def reason(data: bytes) -> tuple[str, int]:
    found = read_source(data)
    assert isinstance(found, Unreadable)
    return found.reason, found.line


def test_a_file_is_decoded_as_its_own_cookie_says() -> None:
    found = read_source("# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"))
    assert isinstance(found, Source)
    assert found.text.endswith("'é'\n")
    assert isinstance(read_source(codecs.BOM_UTF8 + "x = 'é'".encode()), Source)


def test_what_cannot_be_read_is_named_with_its_reason_and_line() -> None:
    assert reason(b"x = 1\ny = '\0'\n") == ("holds a null byte", 2)
    assert reason("x = 1\ny = 2\nz = 'é'\n".encode("latin-1")) == (
        "is not utf-8, its encoding by PEP 263: invalid continuation byte",
        3,
    )
    assert reason(b"# coding: klingon\n") == ("cannot be decoded by PEP 263: unknown encoding: klingon", 1)
    assert reason(b"# coding: hex\nx\n")[0].startswith("cannot be decoded by PEP 263: ")
    assert reason(b"x = 1\nprint 'old'\n")[1] == 2
    assert reason(b"x = (\n")[0].startswith("does not parse: ")
    assert reason("x = 1".encode("utf-16"))[0] == "holds a null byte"


@pytest.mark.parametrize(
    "source", ["-" * 100_000 + "1", "if a: pass\n" + "elif a: pass\n" * 100_000, "(" * 1_000, "a" + ".b" * 100_000]
)
def test_a_file_that_is_nested_too_deeply_is_unreadable(source: str) -> None:
    assert reason(source.encode())[0].startswith("does not parse: ")


def test_a_text_that_utf_8_could_not_hold_is_unreadable_or_told_with_escapes() -> None:
    assert reason(b"# coding: utf-7\nx = '+2AA-'\n")[0].startswith("does not parse: ")
    [finding] = audit_source(b"def f(): raise NotImplementedError('\\ud800')\n", "m.py").findings
    assert finding.message == r"raises NotImplementedError: \ud800"


def test_lines_are_counted_with_or_without_a_last_newline() -> None:
    counts = [audit_source(data, "m.py").lines for data in (b"", b"x", b"x\n", b"x\ny", b"x\r\ny\r\n", b"x\ry")]
    assert counts == [0, 1, 1, 2, 2, 2]


def test_warnings_about_the_file_do_not_reach_whoever_audits_it() -> None:
    code = r"from codex_analysis import audit_source; print(audit_source(b'x = \'\\d\'; 1 is 1\n', 'm.py').findings)"
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "()\n", "")


@given(st.binary(max_size=400))
@example(b"\xff\xfe")
@example(b"# coding: undefined\nx\n")
@example(b"# coding: idna\nx..y\n")
@example(b"# coding: unicode_escape\nx = '\\ud800'\n")
def test_no_bytes_stop_the_audit(data: bytes) -> None:
    found = audit_source(data, "m.py")
    assert all(item.line >= 1 for item in found.findings)


@given(st.text(max_size=400), st.sampled_from(["utf-8", "latin-1", "utf-16", "punycode", "rot13", "utf-8-sig"]))
def test_no_text_stops_the_audit(text: str, encoding: str) -> None:
    data = f"# coding: {encoding}\n# TODO\n{text}".encode("utf-8", "replace")
    assert audit_source(data, "m.py") == audit_source(data, "m.py")


PIECES = (
    "class C(", "Protocol", "A.B[", "]", "):\n", "def f(self):\n", "    ", "\t", "pass\n", "...", "raise ", "import ",
    "NotImplementedError", "@abc.", "@f.setter\n", "if TYPE_CHECKING:\n", "else:\n", "from . import *\n", "'''", "\\",
    "# TODO", "\n", "lambda: ", "match x:\n", "case _:\n", "async ", "global x\n", "x: int = 1\n", "*a, b = c\n",
    "del x\n", "é", "\x0c", "\x1b", "0x", "f'{", "}'", "type T = int\n", "try:\n", "except* E:\n", "\ufeff",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_no_program_or_near_program_stops_the_audit(pieces: list[str]) -> None:
    text = "".join(pieces)
    found = audit_source(text.encode(), "m.py").findings
    if any(item.kind == "unreadable" for item in found):
        assert len(found) == 1
    else:
        ast.parse(text.removeprefix("\ufeff"))
