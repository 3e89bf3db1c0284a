"""Values that are computed when they are first asked for, and without a lock.

Python 3.11's ``functools.cached_property`` computes under a lock that all instances share. A daemon thread that ends
with its process may hold it for ever, and who asks for a value after that waits for ever: an interpreter that ends
would hang in the guard. Python 3.12 took the lock out (python/cpython#87634); here there is none on any version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - written like property
    """A property that is computed once, from what never changes; two threads that ask at once may both compute it."""

    def __init__(self, compute: Callable[[Any], T]) -> None:  # Any: the class that the property stands in
        self._compute = compute
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> T | Self:
        if instance is None:
            return self
        value = self._compute(instance)
        vars(instance)[self._compute.__name__] = value  # from now on it is found before this descriptor
        return value
