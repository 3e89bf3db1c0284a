from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codex_cli.pipeline.uses import code_digest, load_stage
from codex_core import code

METADATA = "Metadata-Version: 2.1\nName: {0}\nVersion: 1\n"
STAGE = """
import sys

class Work:
    contract = 1

    def params(self):
        return dict

    def plug_ins(self):
        return (sys.modules["helping_plug"].help,)

    def __call__(self, ctx, params):
        pass


work = Work()
"""
HELP = """
class Help:
    pass


help = Help()
"""


def test_the_code_of_a_plug_in_is_its_own_and_that_of_the_plug_ins_it_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "working_plug.py").write_text(STAGE)
    (tmp_path / "helping_plug.py").write_text(HELP)
    info = tmp_path / "working-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format("working"))
    (info / "entry_points.txt").write_text("[codex.stages]\nworking = working_plug:work\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("helping_plug")
    try:
        stage, helper = load_stage("working", tmp_path), sys.modules["helping_plug"].help
        before = code_digest("working", tmp_path)
        assert before == code.code_digest(stage, helper)
        (tmp_path / "helping_plug.py").write_text(HELP + "x = 1\n")
        assert code_digest("working", tmp_path) != before
    finally:
        for name in ("working_plug", "helping_plug"):
            del sys.modules[name]
