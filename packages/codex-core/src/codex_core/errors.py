"""The error tree of Codex: every error says what was asked, why it could not be, and what to do next.

    CodexError                                code               exit  also a
    ├── ConfigError                           config.invalid        2  ValueError
    │   └── UsageError                        usage.invalid         2  ValueError
    ├── ContentRefused                        content.refused       1  ValueError
    ├── DeploymentFailed                      deploy.failed         1  RuntimeError
    ├── DigestError                           digest.refused        1  ValueError
    ├── UrlError                              url.invalid           2  ValueError
    ├── PolicyRefused                         policy.refused       77  PermissionError
    ├── GuardUnavailable                      guard.unavailable    78  OSError
    ├── LedgerDamaged                         ledger.damaged        4  ValueError
    ├── LedgerUnavailable                     ledger.unavailable    1  OSError
    ├── VerificationError                     verify.mismatch       4  ValueError
    ├── RunLocked                             run.locked            5  BlockingIOError
    ├── InexactResume                         run.inexact           2  ValueError
    ├── LossNotFinite                         run.not_finite        1  FloatingPointError
    ├── StorageError                          store.failed          1  OSError
    │   ├── ObjectMissing                     store.missing         1  FileNotFoundError
    │   ├── ObjectExists                      store.exists          1  FileExistsError
    │   ├── KeyRefused                        store.key_refused     2  ValueError
    │   ├── ReadOnlyStore                     store.read_only       1  PermissionError
    │   ├── ShortRead                         store.short_read      1  EOFError
    │   └── ConnectorMissing                  store.no_connector    1  LookupError
    ├── PluginError                           plugin.broken         2  ImportError
    │   └── PluginUnknown                     plugin.unknown        2  LookupError
    └── StageFailed                           stage.failed          1  RuntimeError

``exit_code`` is what the command line ends with. The second base is the builtin that a caller who has never heard
of Codex would catch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codex_core.policy import Decision
    from codex_core.storage import Fallback

_READ_FALLBACK = "read its fallback {!r} (--fallback, or fallback = true in a pull)"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, as the ``errors`` list of ``--json`` shows it.

    ``line`` and ``column`` count from 1; they and ``file`` are None where there is no place in a file.
    """

    code: str
    message: str
    hint: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text}; {self.hint}" if self.hint else text

    def to_json(self) -> dict[str, str | int | None]:
        """The object that stands in ``errors``."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "file": self.file,
            "line": self.line,
            "column": self.column,
        }


class CodexError(Exception):
    """Something asked of Codex could not be done; ``problems`` says what, why and what to do next."""

    code: ClassVar[str] = "codex.error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems: tuple[Problem, ...] = tuple(problems) or (Problem(self.code, message, hint),)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        """Cross to another process whole: a multiprocessing pool hangs on an error that it cannot rebuild."""
        return _rebuild, (type(self), self.args, vars(self))


def _rebuild(kind: type[CodexError], args: tuple[object, ...], state: dict[str, object]) -> CodexError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error


class ConfigError(CodexError, ValueError):
    """A file, a table or a parameter is not valid; all its mistakes are in ``problems``."""

    code = "config.invalid"
    exit_code = 2


class UsageError(ConfigError):
    """A command was called with words or options that it does not take."""

    code = "usage.invalid"


class ContentRefused(CodexError, ValueError):
    """A file may not go into a bundle: it is a pickle, an archive, or something else that is not plain data."""

    code = "content.refused"


class DeploymentFailed(CodexError, RuntimeError):
    """A target could not take a bundle; what stood there still stands there."""

    code = "deploy.failed"


class DigestError(CodexError, ValueError):
    """Something has no canonical form or no digest: a NaN, an integer beyond 2^53, a link, a special file."""

    code = "digest.refused"


class UrlError(CodexError, ValueError):
    """A URL or a URL pattern is not one that a policy can judge; the hint is the form to write instead."""

    code = "url.invalid"
    exit_code = 2


class PolicyRefused(CodexError, PermissionError):
    """The policy does not allow this request; ``decision`` says which rule, why, and what would allow it.

    ``fallbacks`` are the other stores that hold the same things, or other targets. The hint names the usable ones in
    comment lines below the remedy, so that it still is TOML ready to paste; ``use`` is what to do with one.
    """

    code = "policy.refused"
    exit_code = 77

    def __init__(self, decision: Decision, *, fallbacks: tuple[Fallback, ...] = (), use: str = _READ_FALLBACK) -> None:
        usable = [f"# or {use.format(one.store)}: {one.reason}" for one in fallbacks if one.usable]
        super().__init__(decision.reason, hint="\n".join([decision.remedy or "", *usable]).strip() or None)
        self.decision = decision
        self.fallbacks = fallbacks


class GuardUnavailable(CodexError, OSError):
    """The guard level that was required cannot be had on this machine."""

    code = "guard.unavailable"
    exit_code = 78


class LedgerDamaged(CodexError, ValueError):
    """A ledger's chain does not hold; ``bad_line`` is the first line (from 1) that does not."""

    code = "ledger.damaged"
    exit_code = 4

    def __init__(self, message: str, *, bad_line: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.bad_line = bad_line


class LedgerUnavailable(CodexError, OSError):
    """An entry could not be appended to a ledger, which stands as it did before; the cause has the errno."""

    code = "ledger.unavailable"


class VerificationError(CodexError, ValueError):
    """Bytes are not what their digest says."""

    code = "verify.mismatch"
    exit_code = 4


class RunLocked(CodexError, BlockingIOError):
    """Another process works in this state folder; the message names its pid."""

    code = "run.locked"
    exit_code = 5


class InexactResume(CodexError, ValueError):
    """A training run would not go on to the same bits; ``differences`` say what changed: ``threads: 1 -> 2``."""

    code = "run.inexact"
    exit_code = 2

    def __init__(self, message: str, *, differences: Iterable[str] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.differences = tuple(differences)


class LossNotFinite(CodexError, FloatingPointError):
    """A training run logged a loss that is NaN or infinite; the message names the batch."""

    code = "run.not_finite"


class StorageError(CodexError, OSError):
    """A store could not do what was asked."""

    code = "store.failed"


class ObjectMissing(StorageError, FileNotFoundError):
    """No object has this key."""

    code = "store.missing"


class ObjectExists(StorageError, FileExistsError):
    """An object has this key already, and the write asked for none (``if_absent``)."""

    code = "store.exists"


class KeyRefused(StorageError, ValueError):
    """The key is not a relative path inside the store: it is absolute, has ``..``, or passes through a link."""

    code = "store.key_refused"
    exit_code = 2


class ReadOnlyStore(StorageError, PermissionError):
    """This store cannot be written to."""

    code = "store.read_only"


class ShortRead(StorageError, EOFError):
    """An object ended before its size: it was changed or cut while it was read."""

    code = "store.short_read"


class ConnectorMissing(StorageError, LookupError):
    """No installed connector speaks this scheme."""

    code = "store.no_connector"


class PluginError(CodexError, ImportError):
    """A plug-in is installed but cannot be used; the message has its origin and the reason."""

    code = "plugin.broken"
    exit_code = 2


class PluginUnknown(PluginError, LookupError):
    """No installed plug-in has this name."""

    code = "plugin.unknown"


class StageFailed(CodexError, RuntimeError):
    """A stage ended with an error; the hint names its log."""

    code = "stage.failed"
