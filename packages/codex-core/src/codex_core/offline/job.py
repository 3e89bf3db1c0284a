"""The job of a shell that the keeper is: it stops, goes on, holds the terminal and dies as its program does."""

from __future__ import annotations

import _signal
import os
import select

_DYING = (_signal.SIGINT, _signal.SIGQUIT)
"""Signals of which a shell asks whether a command died: if so, it ends its loop or script as well."""


def stop_until_heard(number: int, descriptor: int) -> bool:
    """Stop by the signal ``number`` until this process is continued, or ``descriptor`` is readable.

    Returns whether it was continued by somebody. Nothing that comes meanwhile is lost: a stop that is not yet carried
    out is undone by the SIGCONT that the kernel sends for each message (fcntl(2), F_SETSIG). SIGSTOP alone cannot be
    held back until that is so, and leaves a moment in which a message does not continue it.
    """
    import fcntl

    held = {number, _signal.SIGCONT}
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, held)
    handler = _signal.signal(number, _signal.SIG_DFL) if number != _signal.SIGSTOP else None
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, _F_SETSIG, _signal.SIGCONT)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if number == _signal.SIGSTOP:
        if not is_readable(descriptor):
            os.kill(os.getpid(), number)
    else:
        os.kill(os.getpid(), number)
        if is_readable(descriptor):
            _signal.sigtimedwait([number], 0)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [number])  # it stops here
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
    if handler is not None:
        _signal.signal(number, handler)
    came = _signal.sigtimedwait([_signal.SIGCONT], 0)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
    return came is not None and not _POLL_IN <= came.si_code <= _POLL_HUP


_F_SETSIG = 10
_POLL_IN, _POLL_HUP = 1, 6
"""The first and the last of the codes of a signal that a descriptor sent (sigaction(2))."""


def is_readable(descriptor: int) -> bool:
    """Whether something can be read from ``descriptor`` now, its end among that."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def is_foreground() -> bool:
    """Whether this process's group is the foreground of its terminal; not if it has none."""
    terminal = open_terminal()
    if terminal is None:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False  # it hung up
    finally:
        os.close(terminal)


def take_terminal_back() -> None:
    """Be the foreground again where a group was that has ended: a shell inside a seal cannot see whom to give it to."""
    terminal = open_terminal()
    if terminal is None:
        return
    before = _signal.signal(_signal.SIGTTOU, _signal.SIG_IGN)
    try:
        if not _is_there(os.tcgetpgrp(terminal)):
            os.tcsetpgrp(terminal, os.getpgrp())
    except OSError:
        return  # it hung up
    finally:
        _signal.signal(_signal.SIGTTOU, before)
        os.close(terminal)


def die_of(number: int) -> None:
    """End this process by the signal ``number`` if a shell makes more of that than of an exit status of 128 + N."""
    if number in _DYING:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # whatever there was to see was in the program
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def open_terminal() -> int | None:
    """A descriptor of this process's terminal, if it has one."""
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None  # there is none
