"""SHA-256 for short texts, by the C module behind hashlib, which itself loads all of OpenSSL: a seal would wait."""

from __future__ import annotations

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:  # another Python than CPython
            from hashlib import sha256

__all__ = ["sha256"]
