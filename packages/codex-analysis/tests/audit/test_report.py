from __future__ import annotations

from pathlib import Path

from codex_analysis.audit import Audit, Finding, Skipped, audit_source
from codex_analysis.audit.report import count_kinds, prefix_of, write_report

SOURCE = """\
from typing import Protocol
class P(Protocol):
    def a(self): ...
def f():
    raise NotImplementedError("soon")  # TODO: write f
"""


def audit_of(*files: tuple[str, str]) -> Audit:
    findings: list[Finding] = []
    for path, text in files:
        findings += audit_source(text.encode(), path).findings
    return Audit("sha256:0", len(files), 1234, tuple(findings))


def test_a_report_groups_findings_by_file_and_ends_with_counts() -> None:
    assert write_report(audit_of(("a.py", SOURCE), ("b.py", "x = (\n")), prefix="src/") == (
        "src/a.py\n"
        "       3  empty-body       contract  P.a: only ... (a member of a Protocol)\n"
        "       5  not-implemented  stub      f: raises NotImplementedError: soon\n"
        "       5  marker           note      f: TODO: write f\n"
        "\n"
        "src/b.py\n"
        "       1  unreadable       unknown   does not parse: '(' was never closed\n"
        "\n"
        "4 findings in 2 Python files, 1,234 lines\n"
        "  marker           1 note\n"
        "  not-implemented  1 stub\n"
        "  empty-body       1 contract\n"
        "  unreadable       1 unknown\n"
    )


def test_a_report_that_has_nothing_to_say_says_so() -> None:
    assert write_report(audit_of(("a.py", "x = 1\n"))) == "nothing found in 1 Python file, 1,234 lines\n"
    skipped = (Skipped("to", "a link"),)
    assert write_report(Audit("sha256:0", 0, 0, (), skipped)) == (
        "no Python file found\nnot followed: 1 link or special file\n"
    )


def test_a_long_report_keeps_what_is_left_to_do_and_points_to_json() -> None:
    text = write_report(audit_of(("a.py", SOURCE), ("b.py", SOURCE)), limit=4)
    assert text.count("  contract  ") == 0
    assert text.count("TODO: write f") == 2
    assert "... and 2 more findings: --json lists them all\n\n6 findings in" in text
    assert "more finding: --json" in write_report(audit_of(("a.py", SOURCE)), limit=2)


def test_names_and_comments_cannot_write_to_the_terminal_and_are_cut() -> None:
    text = write_report(audit_of(("\x1b[2J.py", f"# TODO {'long ' * 50}\n")))
    assert text.startswith("\\x1b[2J.py\n")
    assert max(map(len, text.splitlines())) == 137
    assert "..." in text


def test_kinds_are_counted_in_their_fixed_order() -> None:
    assert count_kinds(audit_of(("a.py", SOURCE)).findings) == "1 marker, 1 not-implemented, 1 empty-body"


def test_the_root_is_written_as_the_reader_would_write_it() -> None:
    base = Path("/base")
    assert [prefix_of(Path(root), base) for root in ("/base", "/base/a/b", "/other")] == ["", "a/b/", "/other/"]
