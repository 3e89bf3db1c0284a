"""The command index: which commands there are, and which module answers each; kept between starts.

The index holds what the entry points of ``codex.commands`` name, and the commands of this release whose package is
absent, so that a person sees what they could install. Finding entry points costs four bare Python starts, so what was
found is kept by ``codex_cli.index_cache``.
"""

from __future__ import annotations

import time

from codex_cli import index_cache, siblings

TYPE_CHECKING = False  # importing typing costs as much as all that the front door does; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class Entry:
    """One command: its words, one line about it, ``module:object`` of its typer app; or the extra that would bring it.

    A plain class, because dataclasses cost more than a bare Python start.
    """

    __slots__ = ("app", "extra", "name", "summary")

    def __init__(self, name: str, summary: str, app: str = "", extra: str = "") -> None:
        self.name, self.summary, self.app, self.extra = name, summary, app, extra


class Index:
    """All commands by name, in the order in which help lists them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.commands = {entry.name: entry for entry in entries}

    def longest_path(self, words: Sequence[str]) -> list[str]:
        """The first of ``words`` that name a command or a group of commands, as many as do."""
        path: list[str] = []
        for word in words:
            if not any(name.split()[: len(path) + 1] == [*path, word] for name in self.commands):
                break
            path.append(word)
        return path

    def below(self, path: Sequence[str]) -> dict[str, list[Entry]]:
        """The next words after ``path``, each with the commands that it leads to."""
        found: dict[str, list[Entry]] = {}
        for entry in self.commands.values():
            words = entry.name.split()
            if len(words) > len(path) and words[: len(path)] == list(path):
                found.setdefault(words[len(path)], []).append(entry)
        return found


def load_index(environ: Mapping[str, str]) -> Index:
    """The index, from its cache if that can be trusted and is fresh."""
    rows = index_cache.read_cache(environ)
    if rows is None:
        rows = _find_rows(environ)
    present = [Entry(*row) for row in rows]
    return Index([*present, *_absent({entry.name for entry in present})])


def _find_rows(environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What is installed. It is not kept while a plug-in is broken, for nothing tells when that is mended."""
    key = index_cache.cache_key()
    from codex_cli.command_search import find_commands

    found = find_commands()
    rows = [(command.name, _phrase(command.summary), command.app) for command in found.commands]
    if not found.broken:
        index_cache.write_cache(environ, key, rows, found.files, now_ns=time.time_ns())
    return rows


def _phrase(summary: str) -> str:
    """A summary as the tables of help show it: one line, its first letter a capital, no full stop."""
    line = " ".join(summary.split()).rstrip(".")
    return line[:1].upper() + line[1:]


def _absent(present: set[str]) -> Iterator[Entry]:
    for extra, commands in siblings.COMMANDS.items():
        for name, summary in commands.items():
            if name not in present:
                yield Entry(name, summary, extra=extra)
