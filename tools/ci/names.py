"""Fail when a document, script or message of this repository would install one of our packages from an index.

Two of our distribution names belong to other people on the public index. So a command that installs one of ours names a
path, or switches the index off with --no-index. Text files are read by line (continued lines joined, inline code that
wraps too), and Python files by their strings, lists of strings and comments.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.ci.projects import ROOT

SUFFIXES = {"", ".cfg", ".html", ".ini", ".md", ".py", ".rst", ".sh", ".toml", ".txt", ".yaml", ".yml"}

_END = r"[^\n`;|&]*"
_OPTIONS = r"(?:-\S+[ \t]+(?:[^-\s`;|&]\S*[ \t]+)?)*?"  # before the verb, some with a value
_COMMAND = re.compile(
    r"\b(?:"
    rf"(?:pip3?|pipx|conda|mamba|uv[ \t]+tool)[ \t]+{_OPTIONS}(?:install|download|wheel|run)\b"
    r"|(?:uv|poetry|pdm)[ \t]+add\b"
    r"|uvx\b"
    r"|uv[ \t]+run[ \t]+(?:[^\s`;|&]+[ \t]+)*?--with\b"
    rf"){_END}"
)
# a requirement: no path before it, no wheel's file name, no "@ file:" after it
_OURS = re.compile(
    r"(?<![\w./@\\-])codex[-_](?:core|connectors|train|analysis|deploy|cli|[a-z]*\{)(?![\w/-])(?!\S*\s+@\s+file:)"
    r"|(?<![\w./@\\-])codex[-_]\{"
)


@dataclass(frozen=True)
class Finding:
    """One command that would ask an index for a package of ours."""

    path: Path
    line: int
    command: str


def findings(path: Path, text: str) -> list[Finding]:
    """All such commands in one file."""
    pieces = _python(text) if path.suffix == ".py" or text.startswith("#!/usr/bin/env python") else [(1, text)]
    found = {}
    for start, piece in pieces:
        joined = re.sub(r"\\\n\s*", _keep_length, piece)
        joined = re.sub(r"(?<!`)`[^`]+`(?!`)", lambda code: code[0].replace("\n", " "), joined)
        for match in _COMMAND.finditer(joined):
            command = " ".join(match[0].split())
            if _OURS.search(command) and "--no-index" not in command:
                line = start + piece.count("\n", 0, match.start())
                found[line, command] = Finding(path, line, command)
    return list(found.values())


def _keep_length(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _python(text: str) -> Iterator[tuple[int, str]]:
    """Each string, list of strings and comment of a Python file, with its first line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.List | ast.Tuple):
            yield node.lineno, " ".join(_text(item) for item in node.elts)
        elif isinstance(node, ast.Constant | ast.JoinedStr):
            yield node.lineno, _text(node)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _text(node: ast.expr) -> str:
    """A string as written; what is formatted into it stands as `{}`."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else "{}"
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return "{}"


def files() -> list[Path]:
    """Every file that is, or would be, part of a commit and holds text that people read or machines run."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = (ROOT / name for name in sorted(set(listed)) if name)
    return [path for path in paths if path.suffix in SUFFIXES and path.is_file()]


def main() -> int:
    """Check the repository; 1 if anything is found."""
    paths = files()
    found = [finding for path in paths for finding in findings(path, path.read_text(encoding="utf-8"))]
    for finding in found:
        print(
            f"{finding.path.relative_to(ROOT)}:{finding.line}: would ask an index: {finding.command}", file=sys.stderr
        )
    if found:
        print("Next: install by path, or with --no-index --find-links dist/wheelhouse", file=sys.stderr)
    else:
        print(f"names: {len(paths)} files, none installs a package of ours from an index")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
