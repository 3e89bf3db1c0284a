"""Which objects of a store are meant: those at and below a prefix that one of some globs matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_connectors.globs import compile_globs
from codex_core.digest import FileEntry, sort_entries
from codex_core.errors import ObjectMissing, StorageError
from codex_core.storage import check_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from codex_core.storage import ObjectInfo


@dataclass(frozen=True)
class Selection:
    """The objects listed at and below ``prefix`` whose path below it one of the ``include`` globs matches."""

    prefix: str = ""
    include: tuple[str, ...] = ("**",)

    def path(self, key: str) -> str:
        """Where the object ``key`` stands in a copy: its key below the prefix, or its name if it is the prefix."""
        if key == self.prefix:
            return key.rpartition("/")[2]
        return key[len(self.prefix) + 1 :] if self.prefix else key

    def among(self, listed: Iterable[ObjectInfo]) -> dict[str, ObjectInfo]:
        """The selected ones of the objects listed, by their keys."""
        matches = compile_globs(self.include)
        return {info.key: info for info in listed if matches(self.path(check_key(info.key)))}

    def require(self, listed: Sequence[ObjectInfo]) -> dict[str, ObjectInfo]:
        """As ``among``; an error that says what was looked at if there is none."""
        selected = self.among(listed)
        if not listed:
            what = f"at or below {self.prefix!r}" if self.prefix else "at all"
            raise ObjectMissing(f"the store holds nothing {what}", hint="see what it holds with `codex store ls`")
        if not selected:
            some = ", ".join(repr(self.path(info.key)) for info in listed[:3])
            message = f"include = {list(self.include)} matches none of {len(listed)} objects, such as {some}"
            raise StorageError(message, hint="'*' stays within a segment: write '**/*.txt' for files in any folder")
        return selected

    def entries(self, objects: Iterable[ObjectInfo]) -> tuple[FileEntry, ...]:
        """The files that a copy of ``objects``, which have digests, would hold."""
        return sort_entries(FileEntry(self.path(info.key), info.size, str(info.digest)) for info in objects)
