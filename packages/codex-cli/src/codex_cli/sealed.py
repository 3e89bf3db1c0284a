"""``codex sealed``: any command in a seal, with status, signals and terminal as if the seal were not there.

    codex sealed [--require-guard LEVEL] [--policy FILE] -- CMD...

This is answered without the parser of the other commands, which costs ten times what a seal does.
"""

from __future__ import annotations

import os

from codex_core.offline import job, levels, pinned
from codex_core.offline.attestation import describe_tries, next_step
from codex_core.offline.environment import sealed_environment
from codex_core.offline.keeper import Keeper
from codex_core.offline.mounts import View
from codex_core.offline.recorder import Recorder, to_ledger
from codex_core.offline.reporter import ADDRESS
from codex_core.offline.seal import Program, execute

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_core.errors import Problem
    from codex_core.offline.attestation import Observation

_LATER = ("codex_cli.explanation", "codex_cli.output")
"""What of this package is imported when the program has begun."""
STAGE = "sealed"
"""What rules and the ledger call a program that ``codex sealed`` runs."""
HELP = """\
Usage: codex sealed [OPTIONS] [--] CMD...

Run CMD where it can reach no network. Its status, signals and terminal are as if it had been started alone; what it
leaves running is ended with it. Exit: CMD's own status, 128+N if signal N ended it, 126 or 127 if it cannot be started.

Options:
  --require-guard LEVEL  Run only if this level can be had: kernel, nosocket (the default) or python.
  --policy FILE          A policy file on top of the nearest codex.toml.
  -h, --help             Show this."""


class Usage(Exception):
    """The words are not what the command takes; the second argument says what to do."""


class Options:
    """What the words before CMD ask for."""

    def __init__(self, words: Sequence[str]) -> None:
        self.help = False
        given: dict[str, str] = {}
        rest = list(words)
        while rest and rest[0].startswith("-") and rest[0] != "--":
            option, equals, value = rest.pop(0).partition("=")
            if option in {"-h", "--help"}:
                self.help = True
            elif option not in {"--require-guard", "--policy"}:
                raise Usage(f"codex sealed has no option {option!r}", "codex sealed --help shows what it takes")
            elif not equals and not rest:
                raise Usage(f"{option} needs a value", "codex sealed --help shows what it takes")
            elif option in given:
                raise Usage(f"{option} is given twice", "codex sealed --help shows what it takes")
            else:
                given[option] = value if equals else rest.pop(0)
                if not given[option]:
                    raise Usage(f"{option} is empty", "codex sealed --help shows what it takes")
        self.require_guard = given.get("--require-guard", levels.DEFAULT)
        self.policy = given.get("--policy", "")
        self.command = rest[1:] if rest[:1] == ["--"] else rest
        if not self.command and not self.help:
            raise Usage("there is no command to run", "codex sealed -- CMD...")


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the command in ``words``; returns the exit code."""
    try:
        options = Options(words)
    except Usage as mistake:
        from codex_core.errors import Problem

        return _tell((Problem("usage.invalid", *mistake.args),), environ, 2)
    if options.help:
        from codex_cli.output import write_out

        write_out(HELP)
        return 0
    try:
        return _run(options, environ)
    except Exception as error:
        from codex_core.errors import CodexError

        if not isinstance(error, CodexError):
            raise
        return _tell(error.problems, environ, error.exit_code)


def _run(options: Options, environ: Mapping[str, str]) -> int:
    from codex_cli.sealed_project import SealedProject

    folder = _folder()
    project = SealedProject(folder, options.policy, environ)
    append = to_ledger(project.ledger, known=os.stat(project.ledger))
    openings, unopened = project.ways_out(STAGE)
    recorder = Recorder(STAGE, project.policy, append, unopened)
    endings: list[tuple[int, Observation]] = []
    sockets = openings is not None or ADDRESS in environ
    keeper = Keeper(required=options.require_guard, meanwhile=lambda: pinned.pin(_LATER, sockets=sockets))
    keeper.take_signals()
    in_foreground = job.is_foreground()
    try:
        program = Program(
            lambda: execute(options.command),
            folder=folder,
            environment=sealed_environment(environ),
            view=View(kept=project.kept, read_only=project.read_only, writable=project.writable),
            openings=openings,
        )
        seal = keeper.start(program, recorder, lambda *ending: endings.append(ending))
        _let_go_of_streams()
        if seal.level.name == "python":
            _warn()
        keeper.serve(seal, lambda: bool(endings))
    finally:
        keeper.close()
        if in_foreground:
            job.take_terminal_back()
    ((status, seen),) = endings
    code = exit_code(status)
    if recorder.fault is not None:
        return _tell(recorder.fault.problems, environ, recorder.fault.exit_code)
    if code or recorder.broker_lost:
        _explain(recorder, seen.attempts, environ)
    if code and openings is not None and ADDRESS in environ:
        _tell_outer()
    if code:
        _tell_descriptors(options.command)
    if code and keeper.level is not None and keeper.level.name == "nosocket":
        _tell_nosocket()
    if os.WIFSIGNALED(status) and (in_foreground or job.is_foreground()):  # a shell's fg may have come since
        job.die_of(os.WTERMSIG(status))
    return code


def _let_go_of_streams() -> None:
    """Have stdin and stdout be the program's alone: who waits for their end waits for its end. Notes go to stderr."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number, inheritable=False)
    os.close(nowhere)


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        from codex_cli.answers import GONE, GONE_HINT
        from codex_core.errors import UsageError

        raise UsageError(GONE, hint=GONE_HINT) from error


def _warn() -> None:
    import _signal

    from codex_cli.output import write_note

    before = _signal.signal(_signal.SIGTTOU, _signal.SIG_IGN)  # a terminal that stops who writes lets this through
    write_note("codex: guard level python: native code is not stopped; codex doctor says what would raise the level")
    _signal.signal(_signal.SIGTTOU, before)


def _tell_descriptors(command: Sequence[str]) -> None:
    """Name a descriptor that the command was told to use, as a shell's ``<(...)`` does, and that no seal hands in."""
    for word in command:
        folder, _, number = word.rpartition("/")
        if folder in {"/dev/fd", "/proc/self/fd"} and number.isdigit() and int(number) > 2:
            from codex_cli.output import write_note

            write_note(f"codex: a seal hands in three streams alone, so {word} is not there; use a pipe or a file")
            return


def _tell_outer() -> None:
    from codex_cli.output import write_note

    write_note("codex: this ran inside another seal, whose rules hold: no rule that is named here opens anything")


def _tell_nosocket() -> None:
    from codex_cli.output import write_note

    write_note(
        "codex: this ran at guard level nosocket, where no socket works but unix ones, loopback neither; codex doctor"
        " says what would raise the level"
    )


def exit_code(status: int) -> int:
    """What a shell would say of a wait status: the exit status, or 128+N for signal N."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _explain(recorder: Recorder, attempts: int | None, environ: Mapping[str, str]) -> None:
    """After a failure: the last refusal with its remedy, which a library may have swallowed; or what the kernel saw."""
    from codex_cli.output import write_note, write_problems

    if recorder.broker_lost:
        write_note("codex: the broker was ended while this ran, and from then on everything was refused")
    if recorder.last_refusal is not None:
        from codex_core.errors import PolicyRefused

        count = "a request was" if recorder.refused == 1 else f"{recorder.refused} requests were"
        write_note(f"codex: {count} refused while this ran; the last:")
        write_problems(PolicyRefused(recorder.last_refusal).problems, environ)
    elif tries := describe_tries(list(recorder.names), attempts, recorder.unreached, recorder.vain):
        step = next_step(list(recorder.names), STAGE)
        write_note(f"codex: the program {tries}" + (f"; {step}" if step else ""))


def _tell(problems: Sequence[Problem], environ: Mapping[str, str], code: int) -> int:
    from codex_cli.output import write_problems

    write_problems(problems, environ)
    return code
