from __future__ import annotations

from pathlib import Path

from codex_cli.pipeline.reports import read_tail


def test_a_log_s_tail_steers_no_terminal_and_is_cut_to_what_a_person_reads(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n\x1b[31mred\x1b]0;title\x07 \xc2\x9b\x00\xff\n\n" + b"x" * 5000 + b"\n")
    tail = read_tail(log, 2)
    assert tail == (" [31mred ]0;title    \ufffd", "x" * 400 + "...")


def test_a_log_that_is_not_there_has_no_tail(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "log", 3) == ()
