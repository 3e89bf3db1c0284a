"""Store URLs: the schemes that a store may have, and the one absolute form of each URL.

file:///ABS, file:REL               a folder; percent-encoding is undone (RFC 8089), so '%' itself is written '%25'
python:stdlib                       the library of the running interpreter, read-only
s3://BUCKET[/PREFIX]                with an endpoint
azure://CONTAINER[/PREFIX]          with an endpoint
https://HOST[:PORT][/PREFIX]        and http
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from codex_core.errors import KeyRefused, UrlError
from codex_core.storage import check_key
from codex_core.urls import parse_url

STORE_SCHEMES = ("file", "python", "s3", "azure", "https", "http")
ENDPOINT_SCHEMES = ("s3", "azure")
LOCAL_SCHEMES = ("file", "python")
"""The schemes whose URL names no host, so that the store needs an endpoint."""

_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")


def absolute_store_url(text: str, folder: Path) -> str:
    """``text`` as a URL that means the same everywhere: a relative ``file:`` is below ``folder``, which is absolute.

    UrlError, with what to write instead, if it is no store URL.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in STORE_SCHEMES:
        raise UrlError(f"{text!r} is no URL of a store", hint=f"begin it with {', '.join(STORE_SCHEMES[:-1])} or http")
    if scheme == "file":
        return _folder(text, rest, folder).as_uri()
    if scheme == "python":
        if rest != "stdlib":
            raise UrlError(f"{text!r} is no URL of a store", hint="write python:stdlib")
    elif scheme in ENDPOINT_SCHEMES:
        _check_bucket(text, scheme, rest)
    else:
        check_http_url(text)
    return text


def is_local_store(url: str) -> bool:
    """Whether a store with this URL is on this machine, where no policy judges."""
    return url.partition(":")[0] in LOCAL_SCHEMES


def check_http_url(text: str) -> str:
    """``text`` itself, if it is an ``http`` or ``https`` URL without query and fragment; UrlError if not."""
    parse_url(text)
    if bad := re.search(r"[?#].*", text, re.DOTALL):
        raise UrlError(f"{text!r} has a query or a fragment", hint=f"write {text[: bad.start()]!r}")
    return text


def _folder(text: str, rest: str, folder: Path) -> Path:
    path = unquote(rest.removeprefix("//"), errors="surrogateescape")
    if not path or "\0" in path or (rest.startswith("//") and not path.startswith("/")):
        raise UrlError(
            f"{text!r} names no folder", hint="write file:///absolute/folder or file:folder/beside/this/file"
        )
    return folder / path


def _check_bucket(text: str, scheme: str, rest: str) -> None:
    bucket, _, prefix = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or not _BUCKET.fullmatch(bucket) or "?" in prefix or "#" in prefix:
        name = "BUCKET" if scheme == "s3" else "CONTAINER"
        raise UrlError(f"{text!r} is no URL of a store", hint=f"write {scheme}://{name} or {scheme}://{name}/PREFIX")
    if prefix:
        try:
            check_key(prefix.removesuffix("/"))
        except KeyRefused as error:
            raise UrlError(f"{text!r} has a prefix with '', '.' or '..'", hint="write it without them") from error
