"""What is wrong with a table, in words: an error of pydantic as the key it is about, a message, and a hint."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from codex_core.errors import CodexError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from codex_core.toml import KeyPath

_TYPES = {
    "bool": "be true or false",
    "bytes": "be text",
    "dataclass": "be a table",
    "date": "be a date such as 2027-01-31",
    "datetime": "be a date and a time such as 2027-01-31T12:00:00Z",
    "decimal": "be a number",
    "dict": "be a table",
    "finite": "be a finite number",
    "float": "be a number",
    "frozen_set": "be a list",
    "int": "be a whole number",
    "iterable": "be a list",
    "list": "be a list",
    "mapping": "be a table",
    "model": "be a table",
    "path": "be a path",
    "set": "be a list",
    "string": "be text",
    "time": "be a time such as 12:00:00",
    "time_delta": "be a duration such as PT5M",
    "tuple": "be a list",
    "url": "be a URL",
    "uuid": "be a UUID",
}
"""What an error about a type wants, by what its name begins with."""

_ABOUT_TYPE = re.compile(
    "(.+?)_(?:attributes_type|type|parsing|parsing_size|number|from_float|from_date_parsing|from_datetime_parsing"
    "|from_datetime_inexact)"
)

_LIMITS = {
    "greater_than": "be more than {gt}",
    "greater_than_equal": "be at least {ge}",
    "less_than": "be less than {lt}",
    "less_than_equal": "be at most {le}",
    "multiple_of": "be a multiple of {multiple_of}",
    "string_pattern_mismatch": "match the pattern {pattern}",
    "string_too_short": "have at least {min_length} character{s}",
    "string_too_long": "have at most {max_length} character{s}",
    "too_short": "have at least {min_length} item{s}",
    "too_long": "have at most {max_length} item{s}",
    "literal_error": "be {expected}",
    "enum": "be {expected}",
}
"""What the errors that name a limit want; the braces are filled from the error's context."""


@dataclass(frozen=True)
class Said:
    """One mistake: the path below the table, what to say about it, and what to do next."""

    path: KeyPath
    message: str
    hint: str | None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """``did you mean 'inputs'?`` if one of ``known`` is like ``name``; None if none is."""
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """A hint with the nearest of ``known``, or with all of them; None if there are none."""
    names = sorted(known)
    return did_you_mean(word, names) or (f"there is {', '.join(names[:12])}" if names else None)


def shown(value: object) -> str:
    """``value`` as its TOML would show it, shortened; a list and a table by their kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:56]}..."


def describe(
    details: Iterable[Mapping[str, Any]],  # Any: pydantic's own
    data: object,
    where: str,
    keys_at: Callable[[KeyPath], Mapping[str, object]],
) -> Iterator[Said]:
    """What pydantic's ``errors()`` say about ``data``, which a person knows as ``where``.

    ``keys_at`` gives the keys that the table at a path may have, each with an example of its value, or None.
    The members of a union each have their say, which becomes one sentence.
    """
    wanted: dict[KeyPath, list[str]] = {}
    hints: dict[KeyPath, str | None] = {}
    for detail in details:
        path = existing_path(detail["loc"], data)
        if _is_echo(detail):
            continue
        if detail["type"] == "missing":
            yield _missing(path, detail["loc"], where, keys_at(path))
        elif detail["type"] == "extra_forbidden":
            yield _unknown(path, where, keys_at(path[:-1]))
        elif (want := _want(detail)) is None:
            yield _own_words(detail, path, where)
        else:
            wanted.setdefault(path, []).append(want)
            hints[path] = hints.get(path) or _near_choice(detail) or _example(path, keys_at)
    for path, wants in wanted.items():
        instead = f", not {shown(_at(data, path))}" if wants[0].startswith("be ") else ""
        want = " or ".join(dict.fromkeys(wants)).replace(" or be ", " or ")
        yield Said(path, f"{subject(path, where)} must {want}{instead}", hints[path])


def _missing(path: KeyPath, loc: KeyPath, where: str, keys: Mapping[str, object]) -> Said:
    key = loc[-1]
    example = keys.get(str(key))
    hint = f"add {key} = {json.dumps(example)}" if example else f"add a line {key} = .."
    return Said(path, f"{subject(path, where)} has no {key!r}", hint)


def _unknown(path: KeyPath, where: str, keys: Mapping[str, object]) -> Said:
    key = str(path[-1])
    known = f"known keys: {', '.join(keys)}" if keys else None
    return Said(path, f"unknown key {key!r} in {subject(path[:-1], where)}", did_you_mean(key, keys) or known)


def subject(path: KeyPath, where: str) -> str:
    """A path as a person says it: ``item 2 of 'verbs' in rule 'models'``."""
    return f"{_spoken(path)} in {where}" if path else where


def existing_path(loc: Iterable[str | int], data: Any) -> KeyPath:  # Any: whatever TOML gave
    """As much of pydantic's ``loc`` as ``data`` has; the rest names members of a union and the like."""
    path: KeyPath = ()
    for part in loc:
        in_list = isinstance(data, list) and isinstance(part, int)
        if not in_list and not (isinstance(data, dict) and part in data):
            break
        path, data = (*path, part), data[part]
    return path


def _spoken(path: KeyPath) -> str:
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {_spoken(path[:-1])}" if path[:-1] else f"item {path[-1] + 1}"
    start = max((at + 1 for at, part in enumerate(path) if isinstance(part, int)), default=0)
    name = repr(".".join(str(part) for part in path[start:]))
    return f"{name} of {_spoken(path[:start])}" if start else name


def _at(data: Any, path: KeyPath) -> object:  # Any: `existing_path` found this path in it
    for part in path:
        data = data[part]
    return data


def _own_words(detail: Mapping[str, Any], path: KeyPath, where: str) -> Said:  # Any: pydantic's own
    """What a validator raised: it knows best."""
    error = detail.get("ctx", {}).get("error")
    if isinstance(error, CodexError):
        return Said(path, f"{subject(path, where)}: {error.message}", error.hint)
    text = str(error) if isinstance(error, Exception) else re.sub(r"^\w+ should ", "it must ", detail["msg"])
    return Said(path, f"{subject(path, where)}: {text}", None)


def _want(detail: Mapping[str, Any]) -> str | None:  # Any: pydantic's own
    """What must be, beginning with its verb; None for an error that only its own words can tell."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in _LIMITS:
        return _LIMITS[kind].format(
            **context, s="" if 1 in (context.get("min_length"), context.get("max_length")) else "s"
        )
    family = _ABOUT_TYPE.fullmatch(kind)
    return _TYPES.get(family[1]) if family else None


def _is_echo(detail: Mapping[str, Any]) -> bool:  # Any: pydantic's own
    """Whether this only says that a list is too short without its items that are wrong, which are told themselves."""
    found = detail.get("input")
    return detail["type"] == "too_short" and isinstance(found, list) and len(found) >= detail["ctx"]["min_length"]


def _example(path: KeyPath, keys_at: Callable[[KeyPath], Mapping[str, object]]) -> str | None:
    if not path or not isinstance(path[-1], str):
        return None
    example = keys_at(path[:-1]).get(path[-1])
    return f"write {path[-1]} = {json.dumps(example)}" if example else None


def _near_choice(detail: Mapping[str, Any]) -> str | None:  # Any: pydantic's own
    if detail["type"] not in {"literal_error", "enum"} or not isinstance(detail["input"], str):
        return None
    return did_you_mean(detail["input"], re.findall(r"'([^']*)'", detail["ctx"]["expected"]))
