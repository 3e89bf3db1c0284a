"""Files: which files below the audited paths are Python, what is left out, and what could not be looked into.

Python is what ends in ``.py`` or ``.pyi``, and a file without a suffix whose first line is ``#!`` with a Python
interpreter. Left out are hidden folders, ``__pycache__``, ``node_modules``, virtual environments (folders that hold a
``pyvenv.cfg``) and what an exclude pattern names. Links are never followed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codex_analysis.audit.findings import Skipped
from codex_analysis.audit.patterns import matcher
from codex_core.digest import open_regular
from codex_core.errors import DigestError, Problem, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LEFT_OUT = frozenset({"__pycache__", "node_modules"})
_SHEBANG = re.compile(rb"#!.*?\b(?:python|pypy)[\d.]*(?:\s|$)")
_SHEBANG_BYTES = 256


@dataclass(frozen=True)
class Tree:
    """What stands below the audited root, by its path relative to it.

    ``files`` has where each Python file is, ``skipped`` why something was not followed, ``closed`` why a folder could
    not be listed.
    """

    files: dict[str, Path] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)

    def skips(self) -> tuple[Skipped, ...]:
        """The links and special files, by path."""
        return tuple(Skipped(path, reason) for path, reason in sorted(self.skipped.items()))


def find_files(paths: Sequence[Path], exclude: Sequence[str] = ()) -> Tree:
    """The Python files of ``paths``: folders are walked, files are taken as Python whatever their names.

    Their paths are relative to ``common_root(paths)``. UsageError names all of ``paths`` that are missing, or neither a
    file nor a folder; ConfigError a pattern of ``exclude`` that could match nothing.
    """
    _check(paths)
    root = common_root(paths)
    tree = Tree()
    is_excluded = matcher(exclude)
    for start in map(_absolute, paths):
        below = _text(os.path.relpath(start, root))
        if is_excluded(below):
            continue
        if start.is_dir():
            _walk(tree, start, "" if below == "." else below, is_excluded)
        else:
            tree.files[below] = start.resolve()
    return tree


def common_root(paths: Sequence[Path]) -> Path:
    """The audited root: the one folder given, or the deepest that holds every path."""
    return Path(os.path.commonpath([path if path.is_dir() else path.parent for path in map(_absolute, paths)]))


def _check(paths: Sequence[Path]) -> None:
    if not paths:
        raise UsageError("there is nothing to audit", hint="name at least one folder or file")
    problems = [_problem(path, "does not exist") for path in paths if not path.exists()]
    problems += [
        _problem(path, "is neither a folder nor a file")
        for path in paths
        if path.exists() and not path.is_dir() and not path.is_file()
    ]
    if problems:
        raise UsageError(problems[0].message, hint=problems[0].hint, problems=problems)


def _problem(path: Path, why: str) -> Problem:
    return Problem(UsageError.code, f"{_text(str(path))!r} {why}", "name a folder or a Python file that exists")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # by its words alone: the inputs of a stage may be links


def _walk(tree: Tree, start: Path, below: str, is_excluded: Callable[[str], bool]) -> None:
    pending = [(start, below)]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as found:
                items = list(found)
        except OSError as error:
            tree.closed[prefix or "."] = f"cannot be listed: {error.strerror}"
            continue
        if folder != start and any(item.name == "pyvenv.cfg" for item in items):
            continue
        for item in items:
            path = f"{prefix}/{_text(item.name)}" if prefix else _text(item.name)
            if not is_excluded(path) and _note(tree, item, path):
                pending.append((folder / item.name, path))


def _note(tree: Tree, item: os.DirEntry[str], path: str) -> bool:
    """Note in ``tree`` what ``item`` is; whether it is a folder to walk."""
    if item.is_dir(follow_symlinks=False):
        return not item.name.startswith(".") and item.name not in _LEFT_OUT
    if not item.is_file(follow_symlinks=False):
        tree.skipped[path] = "a link" if item.is_symlink() else "a special file"
    elif _is_python(Path(item.path)):
        tree.files[path] = Path(item.path)
    return False


def _is_python(path: Path) -> bool:
    if path.suffix:
        return path.suffix in {".py", ".pyi"}
    try:
        with open_regular(path) as stream:
            return _SHEBANG.match(stream.read(_SHEBANG_BYTES)) is not None
    except (OSError, DigestError):
        return False  # a file without a suffix that cannot be opened is not known to be Python


def _text(name: str) -> str:
    """A file's name in UTF-8 whatever the locale is, with escapes for bytes that are not."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
