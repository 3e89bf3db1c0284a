"""What ``tools/phone_home.py`` counts: what a program tries in a seal, without the switches and with them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tools.phone_home import TOOLS, Finding, Tries, page, run

PROGRAM = """
import ctypes, os, socket, subprocess
if not os.environ.get("MLFLOW_DISABLE_TELEMETRY"):
    for _ in range(25):
        try:
            socket.create_connection(("telemetry.example", 443))
        except OSError:
            pass
subprocess.run(["getent", "ahostsv4", "native.example"])
outside = b"\\x02\\x00\\x00\\x50\\xc6\\x33\\x64\\x07" + bytes(8)
sock = socket.socket()
ctypes.CDLL(None).connect(sock.fileno(), outside, len(outside))
raise SystemExit(3)
"""


@pytest.mark.parametrize(("switches", "refused"), [(False, {"telemetry.example:443": 25}), (True, {})])
def test_every_try_is_counted_by_what_showed_it(switches: bool, refused: dict[str, int]) -> None:
    tries = run(Path(sys.executable), PROGRAM, switches=switches)
    assert (tries.refused, set(tries.names), tries.packets, tries.status) == (refused, {"native.example"}, 1, 3)


def test_the_page_has_two_rows_for_each_tool() -> None:
    off, on = Tries({"a.example:443": 2, "b.example:80": 1}, {"c.example": 1}, 4, 0), Tries({}, {}, 0, 1)
    text = page([Finding(TOOLS[0], "1.2", off, on)], datetime(2026, 5, 1, tzinfo=UTC))
    assert text.endswith(
        "| mlflow-skinny 1.2 | logs a metric of a run to SQLite | off | 2 of `a.example:443`, 1 of `b.example:80` |"
        " 1 of `c.example` | 4 |\n|  |  | on (it ended with 1) | none | none | 0 |\n"
    )


def test_the_page_in_the_reference_is_one_that_was_measured() -> None:
    shown = (Path(__file__).resolve().parents[2] / "docs/reference/phone-home.md").read_text()
    for tool in TOOLS:
        assert f"\n| {tool.name} " in shown
    assert shown.count("\n|  |  | on | ") == len(TOOLS)
