"""What goes to stdout and stderr: the answer on one, problems on the other, in colour only on a terminal."""

from __future__ import annotations

import os
import sys

from codex_cli.explanation import remedy_text

TYPE_CHECKING = False  # the front door uses this module, and importing typing costs as much as all of it
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from codex_core.errors import Problem

STDOUT, STDERR = 1, 2
BOLD_RED, BOLD, PLAIN = "\x1b[1;31m", "\x1b[1m", "\x1b[0m"


def write_out(text: str) -> None:
    """Write ``text`` and a newline to stdout: quiet where its reader has gone, else OSError, which says what failed."""
    encoding = sys.stdout.encoding
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        discard_stdout()
    except OSError as error:
        discard_stdout()
        raise OSError(error.errno, f"cannot write to stdout: {error.strerror}") from error


def discard_stdout() -> None:
    """Send what stdout still holds nowhere, so that Python does not complain of it again when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDOUT)
    os.close(nowhere)


def write_problems(problems: Iterable[Problem], environ: Mapping[str, str]) -> None:
    """Write each problem to stderr: ``FILE:LINE:COLUMN: message; hint``, or ``codex:`` where it has no place."""
    coloured = wants_colour(environ)
    for problem in problems:
        write_note(problem_text(problem, coloured=coloured))


def write_note(text: str) -> None:
    """Write ``text`` to stderr; a stderr that nobody reads is no reason to fail."""
    try:
        print(f"{text}\n", end="", file=sys.stderr, flush=True)  # in one piece: a program may be writing there too
    except OSError:
        return


def problem_text(problem: Problem, *, coloured: bool) -> str:
    """One problem for a person. A hint of several lines, such as a rule to paste, stands below the message.

    What a file is named, and what is told of it, may be somebody else's words: they do not steer the terminal.
    """
    place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part is not None)
    lead = f"{_harmless(place) or 'codex'}:"
    if coloured:
        lead = f"{BOLD if place else BOLD_RED}{lead}{PLAIN}"
    message, hint = _harmless(problem.message), _harmless(problem.hint or "")
    if "\n" in hint:
        return f"{lead} {message}\n{remedy_text(hint)}"
    return f"{lead} {message}" + (f"; {hint}" if hint else "")


def _harmless(text: str) -> str:
    """``text`` with the characters escaped that a terminal would not show; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Whether stderr is a terminal that shows colour, and nobody asked for none (https://no-color.org)."""
    return sys.stderr.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
