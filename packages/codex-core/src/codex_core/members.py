"""Members: a dataclass from a JSON object that somebody else may have written."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_members(kind: type[T], data: Any) -> T:  # Any: JSON
    """The dataclass ``kind`` from the members of ``data``: texts, numbers, truth values, None, and tuples of texts.

    TypeError, naming the member, if one is missing, unknown, or of another type than its field is annotated with.
    """
    if not isinstance(data, dict):
        raise TypeError(f"{type(data).__name__} is no object")
    made = kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
    for name, annotation in _annotations(kind).items():  # type: ignore[arg-type]  # a class can be hashed
        if not _fits(getattr(made, name), annotation):
            raise TypeError(f"{name!r} cannot be {getattr(made, name)!r}")
    return made


@cache
def _annotations(kind: type) -> dict[str, Any]:  # Any: as for _fits
    return get_type_hints(kind)


def _fits(value: object, annotation: Any) -> bool:  # Any: a type, a union of some, or a Literal
    if get_origin(annotation) in {Union, UnionType}:
        return any(_fits(value, one) for one in get_args(annotation))
    if get_origin(annotation) is Literal:
        return isinstance(value, str) and value in get_args(annotation)
    if get_origin(annotation) is tuple:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    return type(value) is (NoneType if annotation is None else annotation)  # a bool is no int here
