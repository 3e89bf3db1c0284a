"""From a command to its answer: the leaf is called, and what it returns or raises becomes text or one JSON object."""

from __future__ import annotations

import errno
import json
import os
import select
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from codex_cli.output import STDERR, STDOUT, discard_stdout, write_note, write_out, write_problems
from codex_core.command import Reply
from codex_core.errors import CodexError, PluginError, PolicyRefused, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from codex_cli.commands_index import Entry

TRACEBACK = "CODEX_TRACEBACK"


def answer_command(command: Entry, words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run ``command`` with all the ``words`` of its line and show its answer; returns the exit code."""

    def call() -> Reply:
        from codex_cli.commands import call_app

        return call_app(_load_app(command), words)

    if not wants_json(words):
        return show(command.name, outcome(call, environ), environ)
    with stdout_to_stderr():
        reply = outcome(call, environ)
    return show(command.name, reply, environ, as_json=True)


def wants_json(words: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options of a command line."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def show(name: str, reply: Reply, environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Write the answer of the command ``name`` to stdout and its problems to stderr; returns the exit code."""
    text = reply.text
    if as_json:
        try:
            text = _json_text(name, reply)
        except (TypeError, ValueError, RecursionError) as error:
            reply = _from_fault(error, environ)
            text = _json_text(name, reply)
    write_problems(reply.errors, environ)
    if text:
        write_out(text.removesuffix("\n"))
    return reply.exit


def outcome(call: Callable[[], Reply], environ: Mapping[str, str]) -> Reply:
    """What ``call`` returns, or a Reply that says what it raised."""
    try:
        return call()
    except CodexError as error:
        return _from_codex_error(error)
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError as error:
        return Reply({}, exit=1) if _reader_has_gone() else _from_os_error(error)
    except OSError as error:
        return _from_os_error(error)
    except Exception as error:  # noqa: BLE001 -- whatever a plug-in raises, the answer keeps its form
        # Python 3.11 makes a RuntimeError of whatever is raised while a class names its members (__set_name__).
        return interrupted() if isinstance(error.__cause__, KeyboardInterrupt) else _from_fault(error, environ)


def interrupted(**body: object) -> Reply:
    """The answer of a command that was interrupted before it had one; ``body`` is what its answers always have."""
    return Reply(body, exit=130, errors=(Problem("interrupted", "interrupted"),))


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """What is printed inside, by child processes too, goes to stderr, so that stdout holds the one JSON object."""
    sys.stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, STDOUT)
        os.close(kept)


def _load_app(command: Entry) -> Any:  # Any: a typer app, which only commands modules name
    module, _, name = command.app.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        hint = "`codex doctor` lists what is installed and broken"
        raise PluginError(
            f"the command {command.name!r} cannot be loaded from {command.app}: {error}", hint=hint
        ) from error


def _json_text(name: str, reply: Reply) -> str:
    schema = ".".join(("codex", *name.split())) + "/1"
    errors = [problem.to_json() for problem in reply.errors]
    return json.dumps({"schema": schema, "exit": reply.exit, "errors": errors, **reply.body}, allow_nan=False)


_PERMITTED, _WRITABLE = "name a place that you have the rights to", "name a place that you can write to"
_NEXT_STEPS = {
    errno.EACCES: _PERMITTED,
    errno.EPERM: _PERMITTED,
    errno.EROFS: _WRITABLE,
    errno.ENOSPC: "free some space on that disk, and do it again",
    errno.EDQUOT: "free some of your space on that disk, and do it again",
    errno.ENOENT: "look whether it is spelled right",
    errno.EEXIST: "a file stands where a folder is needed: name another place, or move it away",
    errno.ENOTDIR: "a file stands where a folder is needed: name another place, or move it away",
}
"""What a person can do about an error of the file system."""


def _failure(exit_code: int, *problems: Problem) -> Reply:
    return Reply({}, exit=exit_code, errors=problems)


def _from_codex_error(error: CodexError) -> Reply:
    if not isinstance(error, PolicyRefused):
        return _failure(error.exit_code, *error.problems)
    body = {"decision": error.decision.to_json(), "fallbacks": [fallback.to_json() for fallback in error.fallbacks]}
    return Reply(body, exit=error.exit_code, errors=error.problems)


GONE, GONE_HINT = "the folder that this runs in has been removed", "change to one that is there"


def _from_os_error(error: OSError) -> Reply:
    code = f"os.{errno.errorcode.get(error.errno or 0, 'error').lower()}"
    reason = error.strerror or str(error) or type(error).__name__
    paths = [os.fsdecode(path) for path in (error.filename, error.filename2) if isinstance(path, str | bytes)]
    if error.errno == errno.ENOENT and not paths:  # as getcwd(3) says it
        return _failure(1, Problem(code, GONE, GONE_HINT))
    message = f"{' -> '.join(map(repr, paths))}: {reason}" if paths else reason
    return _failure(1, Problem(code, message, _NEXT_STEPS.get(error.errno or 0)))


def _from_fault(error: Exception, environ: Mapping[str, str]) -> Reply:
    if environ.get(TRACEBACK) == "1":
        import traceback

        write_note("".join(traceback.format_exception(error)).rstrip())
    detail = " ".join(str(error).split())
    message = f"{type(error).__name__}: {detail}" if detail else type(error).__name__
    hint = f"Codex did not expect this, so it or a plug-in has a fault; {TRACEBACK}=1 shows where"
    return _failure(1, Problem("codex.fault", message, hint))


def _reader_has_gone() -> bool:
    """Whether stdout is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(STDOUT, 0)
    gone = any(event & select.POLLERR for _, event in poll.poll(0))
    if gone:
        discard_stdout()
    return gone
