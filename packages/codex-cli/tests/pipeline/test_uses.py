from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codex_cli.pipeline.uses import code_digest
from codex_core.digest import digest_file

METADATA = "Metadata-Version: 2.1\nName: {0}\nVersion: 1\n"
STAGE = """
class Work:
    contract = 1

    def params(self):
        return dict

    def __call__(self, ctx, params):
        pass


work = Work()
"""


def install(site: Path, name: str, module: str, entry: str) -> Path:
    """A distribution with one stage, as an installer leaves it."""
    file = site.joinpath(*module.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(STAGE)
    info = site / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name))
    (info / "entry_points.txt").write_text(f"[codex.stages]\n{entry} = {module}:work\n")
    return file


@pytest.mark.parametrize("module", ["lone_module_plug", "spaced_plug.inner.work"])
def test_the_code_of_a_plug_in_is_its_own_file_also_without_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """A single module lies beside everything installed, and a namespace package has no file of its own."""
    entry = module.partition(".")[0].replace("_", "-")
    file = install(tmp_path, entry, module, entry)
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert code_digest(entry, tmp_path) == digest_file(file)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == module.partition(".")[0]]:
            del sys.modules[name]
