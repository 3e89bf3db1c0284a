"""What the README promises: its example works as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

Codex = Callable[..., tuple[int, str, str]]

README = Path(__file__).parents[1] / "README.md"


def test_example_ends_as_its_comments_say(codex: Codex, tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    (pipeline,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "codex.toml").write_text(pipeline)
    lines = re.findall(r"^codex ([^#\n]+?) +#(?:.*?exits with (\d+))?", text, re.MULTILINE)
    assert len(lines) == 3
    for words, code in lines:
        assert codex(*words.split(), cwd=tmp_path)[0] == int(code or 0)
    assert (tmp_path / "size.txt").read_text().strip() == "6"
