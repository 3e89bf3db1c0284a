from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_analysis.audit import audit_source
from codex_analysis.audit.markers import WORDS


def markers(source: str) -> list[tuple[int, str, str]]:
    found = audit_source(source.encode(), "m.py").findings
    assert not any(item.kind == "unreadable" for item in found)
    return [(item.line, item.qualname, item.message) for item in found if item.kind == "marker"]


@pytest.mark.parametrize("word", WORDS)
def test_each_marker_is_found_as_a_word_of_a_comment(word: str) -> None:
    for comment in (f"# {word}", f"#{word}: later", f"##  (see {word}(me))", f"# {word}/other", f"#!{word}"):
        assert markers(f"x = 1  {comment}\n") == [(1, "", comment.lstrip("#").strip())]


@pytest.mark.parametrize("comment", ["# todo", "# Todo", "# TODOS", "# MY_TODO", "# XXXX", "# HACKER", "# a note", "#"])
def test_other_words_are_no_markers(comment: str) -> None:
    assert markers(f"x = 1  {comment}\n") == []


def test_strings_hold_no_markers() -> None:
    source = dedent(
        '''
        """# TODO"""
        a = "# TODO"
        b = r\'\'\'
        # TODO
        \'\'\'
        c = f"{a}# TODO"
        TODO = "TODO" "# FIXME"; d = """
        # XXX """; e = 1  # no marker
        '''
    )
    assert markers(source) == []


def test_a_marker_stands_in_the_function_whose_lines_hold_it() -> None:
    source = dedent(
        """\
        # TODO 1
        @decorate(  # TODO 2
            1)
        class A:
            # TODO 4
            x = [
                1,  # TODO 6
            ]
            def f(self):
                if x:
                        y = 1
                        # TODO 11
                elif y:  # TODO 12
                    return
                # TODO 14
                def g(): return 1  # TODO 15
                z = 1
            # TODO 17
            h = 1
        # TODO 19
        """
    )
    assert [(line, name) for line, name, _ in markers(source)] == [
        (1, ""),
        (2, "A"),
        (5, "A"),
        (7, "A"),
        (12, "A.f"),
        (13, "A.f"),
        (15, "A.f"),
        (16, "A.f.<locals>.g"),
        (18, "A"),
        (20, ""),
    ]


def test_line_ends_of_every_system_give_the_same_markers() -> None:
    source = "x = 1  # TODO a\n\nif x:\n    y = '''\n'''  # TODO b\n# TODO c"
    expected = [(1, "", "TODO a"), (5, "", "TODO b"), (6, "", "TODO c")]
    assert [markers(source.replace("\n", end)) for end in ("\n", "\r\n", "\r")] == [expected] * 3


def test_a_page_break_and_a_continued_line_do_not_move_markers() -> None:
    source = "\x0cx = 1\n\x0c\nif x: \\\n  y = 2  # TODO\n\x0c# TODO\n"
    assert [line for line, _, _ in markers(source)] == [4, 5]


def test_control_characters_of_a_comment_do_not_reach_the_terminal() -> None:
    assert markers("# TODO \x1b[31m red \u202e  back\n") == [(1, "", r"TODO \x1b[31m red \u202e back")]


WORD = re.compile(r"\b(TODO|FIXME|XXX|HACK|STUB|TBD|WIP)\b")


def all_markers(text: str) -> list[int]:
    """The lines of the marked comments, by tokenizing the whole of a text."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.start[0] for token in tokens if token.type == tokenize.COMMENT and WORD.search(token.string)]


def test_tokenizing_single_logical_lines_finds_what_tokenizing_a_whole_file_finds() -> None:
    """On real files: those of the standard library's top folder."""
    compared = 0
    for path in sorted(Path(tokenize.__file__).parent.glob("*.py")):
        text = path.read_text("utf-8", "replace")
        if WORD.search(text):
            compared += 1
            assert [line for line, _, _ in markers(text)] == all_markers(text), path
    assert compared > 20


PIECES = (
    "# TODO\n", "x = 1  # XXX\n", "if x:\n", "    ", "'''", '"""', "'#", "def f():\n", "(\n", ")", "pass\n", "\\\n",
    "else:\n", "f'{x}'", ";", "y = 2", "\n", "class C:\n", "@d\n", "case 1:\n", "[", "]",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_program_has_the_markers_that_tokenizing_all_of_it_finds(pieces: list[str]) -> None:
    text = "".join(pieces)
    try:
        ast.parse(text)
    except SyntaxError:
        return
    assert [line for line, _, _ in markers(text)] == all_markers(text)
