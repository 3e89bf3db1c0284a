"""SHA-256 without loading OpenSSL for it, which a seal would wait for; where hashlib is loaded already, OpenSSL's."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from hashlib import _Hash
    from hashlib import sha256 as _alone
else:
    try:
        from _sha2 import sha256 as _alone  # Python 3.12 and later
    except ImportError:
        try:
            from _sha256 import sha256 as _alone
        except ImportError:  # a Python that was built without its own
            from hashlib import sha256 as _alone


def sha256(data: bytes = b"") -> _Hash:
    """A hash that has taken in ``data``, as hashlib makes it; of long data, OpenSSL's takes a fifth of the time."""
    return getattr(sys.modules.get("hashlib"), "sha256", _alone)(data)
