"""The front door: ``codex --help``, ``--version`` and typos are answered here, a command is handed to its package.

Until a command is used, this loads a few modules of the standard library and the cached command index, nothing else.
"""

from __future__ import annotations

import os
import sys

from codex_cli.__about__ import __version__

TYPE_CHECKING = False  # importing typing costs as much as all of this; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from codex_cli.commands_index import Entry, Index

ABOUT = "Codex trains, checks and ships machine-learning models on machines that must not talk to the internet."
HELP = ("--help", "-h")
VERSION = "--version"
RUN = "run"
HASH_SEED = "PYTHONHASHSEED"
SEALED = "sealed"
"""The command that is answered without the index: its own words are few, and all others are its program's."""


def main(words: Sequence[str] | None = None) -> int:
    """Answer the command line ``words`` (default: the process's own); returns the exit code."""
    _open_closed_streams()
    command = sys.argv[1:2] if words is None else []
    try:
        if command == [RUN]:
            _fix_hashes(sys.argv[1:])
        code = _answer(sys.argv[1:] if words is None else list(words), os.environ)
    except KeyboardInterrupt:
        if command == [SEALED]:
            _die_of_interrupt()
        from codex_cli.answers import interrupted, show, wants_json

        as_json = command == [RUN] and wants_json(sys.argv[1:])  # of others the name is not known yet
        code = show(RUN, interrupted(stages=[]), os.environ, as_json=as_json)
    except OSError as error:
        what = "" if error.filename is None else f"{error.filename}: "
        print(f"codex: {what}{error.strerror or error}", file=sys.stderr)
        code = 1
    if command in ([SEALED], [RUN]):
        # All is written. To take the interpreter down piece by piece costs as much as its start, and if an interrupt
        # came meanwhile, or had come in certain places before, it would die of that.
        os._exit(code)
    return code


def _die_of_interrupt() -> None:
    """End as a sealed command at a terminal does, so that a shell's loop ends too, where none has started yet."""
    import _signal

    from codex_core.offline import job

    if job.is_foreground():
        job.die_of(_signal.SIGINT)


def _fix_hashes(words: Sequence[str]) -> None:
    """Start again as a Python whose string hashes do not change from run to run: stages are forked from it.

    An interrupt that comes while that starts is held back until it gets here: before, it would show a traceback.
    """
    import _signal

    if os.environ.get(HASH_SEED) != "0" and sys.executable:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGINT])
        again = [sys.executable, "-P", "-m", "codex_cli", *words]
        os.execve(sys.executable, again, {**os.environ, HASH_SEED: "0"})
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGINT])


def _open_closed_streams() -> None:
    """Send to nowhere what would go to a stream that was closed at the start, or to the file that took its number."""
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)  # it gets that number; what a command starts does not inherit it
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- it stays open until the process ends
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- likewise


def _answer(words: list[str], environ: Mapping[str, str]) -> int:
    if words[:1] == [VERSION]:
        return _say(f"codex {__version__}")
    if words[:1] == [SEALED]:
        from codex_cli.sealed import main as run_sealed

        return run_sealed(words[1:], environ)
    from codex_cli.commands_index import load_index

    index = load_index(environ)
    path = index.longest_path(words)
    command = index.commands.get(" ".join(path))
    if command is None:
        return _answer_group(index, path, words, environ)
    if command.extra:
        return _refuse_absent(command, words, environ)
    from codex_cli.answers import answer_command

    return answer_command(command, words, environ)


def _answer_group(index: Index, path: list[str], words: list[str], environ: Mapping[str, str]) -> int:
    rest = words[len(path) :]
    if rest and rest[0] not in HELP:
        return _refuse(index, path, words, environ)
    return _say(_group_help(index, path) if path else _help(index))


def _say(text: str) -> int:
    from codex_cli.output import write_out

    write_out(text)
    return 0


def _help(index: Index) -> str:
    below = index.below(())
    alone = {word: found[0].summary for word, found in below.items() if found[0].name == word}
    groups = {word: _leaf_words(found) for word, found in below.items() if word not in alone}
    lines = [
        ABOUT,
        "",
        "Usage: codex COMMAND ...",
        "",
        "Commands:",
        *_table(alone),
        "",
        "Groups of commands; codex GROUP lists them:",
        *_table(groups),
        *_install_lines(index.commands.values()),
        "",
        "Every command takes --help, and but for sealed --json. codex --version shows the version.",
    ]
    return "\n".join(lines)


def _group_help(index: Index, path: list[str]) -> str:
    below = index.below(path)
    table = {word: found[0].summary if len(found) == 1 else _leaf_words(found) for word, found in below.items()}
    entries = [entry for found in below.values() for entry in found]
    lines = [f"Usage: codex {' '.join(path)} COMMAND ...", "", "Commands:", *_table(table), *_install_lines(entries)]
    return "\n".join([*lines, "", f"codex {' '.join(path)} COMMAND --help shows what a command takes."])


def _leaf_words(entries: Iterable[Entry]) -> str:
    return ", ".join(entry.name.partition(" ")[2] for entry in entries)


def _table(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows), default=0)
    return [f"  {word:{width}}  {text}" for word, text in rows.items()]


def _install_lines(entries: Iterable[Entry]) -> list[str]:
    """What to install for the commands among ``entries`` whose package is absent."""
    absent: dict[str, list[str]] = {}
    for entry in entries:
        if entry.extra:
            absent.setdefault(entry.extra, []).append(entry.name)
    if not absent:
        return []
    from codex_core.install import install_line

    lines = ["", "Not installed:"]
    for extra, names in absent.items():
        lines += [f"  {', '.join(names)}", f"    {install_line(extra)}"]
    return lines


def _refuse(index: Index, path: list[str], words: list[str], environ: Mapping[str, str]) -> int:
    """Answer words that name no command: exit 2, with the nearest name that does."""
    from codex_cli.answers import show, wants_json
    from codex_core.command import Reply
    from codex_core.errors import Problem
    from codex_core.wording import did_you_mean

    word, place = words[len(path)], " ".join(("codex", *path))
    kind = "option" if word.startswith("-") else "command"
    known = [*index.below(path), *HELP, *(() if path else (VERSION,))]
    hint = did_you_mean(word, known) or f"{place} --help lists what there is"
    if word == "--json":
        hint = f"write it after the command: {place} COMMAND --json"
    problem = Problem("usage.invalid", f"{place} has no {kind} {word!r}", hint)
    return show(" ".join(path), Reply({}, exit=2, errors=(problem,)), environ, as_json=wants_json(words))


def _refuse_absent(command: Entry, words: list[str], environ: Mapping[str, str]) -> int:
    """Answer a command whose package is absent, or broken: exit 2, with the line that installs it."""
    from codex_cli.answers import outcome, show, wants_json
    from codex_cli.command_search import refuse_absent

    reply = outcome(lambda: refuse_absent(command.name, command.extra), environ)
    return show(command.name, reply, environ, as_json=wants_json(words))
