"""Puts the guard into every Python that starts inside a seal, whatever its version and whatever is installed there.

Python imports this module at its start, because a seal's PYTHONPATH begins with this folder. It costs one audit hook,
which loads the guard when a socket is first used. A sitecustomize that was there before is imported after it.
"""

import _thread
import sys


def _settle() -> None:
    """Take this folder out of sys.path again, and give way to the sitecustomize that it hides."""
    folder = __file__.rpartition("/")[0]
    sys.path[:] = [path for path in sys.path if path != folder]
    ours = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        sys.modules["sitecustomize"] = ours
        if error.name != "sitecustomize":
            raise


def _wait_for_sockets() -> None:
    """Load the guard at the first event that it judges; its own hook then comes after this one, and judges it."""
    watched = {"connect", "sendto", "sendmsg", "getaddrinfo", "gethostbyname", "gethostbyaddr", "getnameinfo"}
    source = __file__.rpartition("/codex_core/")[0]
    lock = _thread.RLock()  # other threads wait until it is loaded; what its loading itself does is let through
    state: list[str] = []

    def hook(event: str, args: tuple[object, ...]) -> None:
        if "loaded" in state or not event.startswith("socket.") or event[7:] not in watched or sys.is_finalizing():
            return
        if event.startswith("socket.send") and args[1] is None:
            return  # it is connected, so a connect was judged, or none had to be
        with lock:
            if state:
                return
            state.append("loading")
            sys.path.append(source)
            try:
                from codex_core.offline.guard import judge_this_program
            finally:
                sys.path.remove(source)
            judge_this_program()
            state.append("loaded")

    sys.addaudithook(hook)


if sys.version_info >= (3, 11):
    _wait_for_sockets()
_settle()
