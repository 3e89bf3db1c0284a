"""What looks up names for the C library: libraries that it would search for, and load, at the first look-up.

The search begins where LD_LIBRARY_PATH, or the Python that runs this, says: a program may be able to write there.
"""

from __future__ import annotations

import os
from _ctypes import dlopen

from codex_core.offline import linux

_NSSWITCH = "/etc/nsswitch.conf"
_BUILT_IN = ("files", "dns")
"""What is part of the C library since glibc 2.34, and asked for where nothing else is said."""
_loaded: list[str] = []


def load() -> None:
    """Load what nsswitch.conf(5) names for hosts, and what look-ups load besides."""
    names = _sources() or _BUILT_IN
    _loaded[:] = [name for name in names if _load(f"libnss_{name}.so.2") or name in _BUILT_IN] or _BUILT_IN
    for library in ("libresolv.so.2", "libgcc_s.so.1"):
        _load(library)


def keep_to_loaded() -> None:
    """Have this process look up hosts by nothing that was not there when ``load`` was called."""
    linux.look_up_hosts_by(_loaded)


def _sources() -> list[str]:
    """The services that are asked for a host, in their order."""
    try:
        with open(_NSSWITCH, encoding="utf-8", errors="replace") as file:
            lines = [line.partition("#")[0].partition(":") for line in file]
    except OSError:
        return []
    found = " ".join(rest for key, _, rest in lines if key.strip() == "hosts")
    return [word for word in found.split() if word.replace("_", "").isalnum()]


def _load(library: str) -> bool:
    try:
        dlopen(library, os.RTLD_NOW)
    except OSError:
        return False
    return True
