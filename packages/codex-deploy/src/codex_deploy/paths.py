"""The paths of files in a bundle: relative, plain, and told apart on every file system.

The rules are those of Unicode 3.2, which every Python has beside its own, so that a path is right for all of them or
for none: characters that came later are taken as they are, but for those that turn the direction of a text.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LONGEST_PART = 255
_UNICODE = unicodedata.ucd_3_2_0
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"}
_TURNING = re.compile("[\u061c\u2066-\u2069\ufffe\uffff]")


def path_faults(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each path that may not stand in a bundle, and why not.

    Two paths collide if they differ in case or in Unicode normalisation alone, or if one is a folder of the other.
    """
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        if (why := _fault(path)) is not None:
            yield path, why
            continue
        key = _key(path)
        if key in seen:
            same = "it stands there twice" if seen[key] == path else f"it differs from {seen[key]!r} only in spelling"
            yield path, same
        elif key in folders:
            yield path, f"{folders[key]!r} lies below it"
        elif (above := next((seen[folder] for folder in _folders(key) if folder in seen), None)) is not None:
            yield path, f"it lies below {above!r}, which is a file"
        seen.setdefault(key, path)
        folders.update(dict.fromkeys(_folders(key), path))


def _fault(path: str) -> str | None:
    parts = path.split("/")
    if path.startswith("/"):
        return "it is absolute"
    if ".." in parts:
        return "it leads out of the bundle"
    if "" in parts or "." in parts:
        return "it has an empty part or '.'"
    if "\\" in path or ":" in parts[0]:
        return "it has a backslash or a drive"
    if any(_UNICODE.category(letter) in _HIDDEN and letter != " " for letter in path) or _TURNING.search(path):
        return "it has characters that cannot be shown"
    if any(len(part.encode(errors="surrogatepass")) > _LONGEST_PART for part in parts):
        return f"a part of it is longer than {_LONGEST_PART} bytes"
    if any(part.endswith((" ", ".")) for part in parts):
        return "a part of it ends with a space or a dot"
    return None


def _key(path: str) -> str:
    folded = (letter.casefold() if _UNICODE.category(letter) != "Cn" else letter for letter in _normal(path))
    return _normal("".join(folded))


def _normal(text: str) -> str:
    return _UNICODE.normalize("NFC", text)


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
