"""The files of a layout while it is checked: which there are, and the bytes of each blob, read and hashed once."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_core.digest import open_regular
from codex_core.errors import ContentRefused
from codex_deploy.blobs import read_chunks
from codex_deploy.content import Content, Examiner
from codex_deploy.layout import BLOBS, INDEX_FILE, LARGEST_DOCUMENT, LAYOUT_FILE, blob_path

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from codex_deploy.flaws import Flaws
    from codex_deploy.layout import Descriptor

_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Blob:
    """A blob that was read, and is what its name says.

    ``content`` is what it holds, or why that may not be inside; ``document`` are its bytes where they were asked for.
    """

    size: int
    content: Content | ContentRefused
    document: bytes | None


class LayoutFiles:
    """Lists ``folder`` at once, reads a blob when it is asked for, and the others in ``finish``.

    ``extra`` are the names of files that may stand beside a layout's own. ``actual`` has the digest of each blob that
    was read, by the digest in its name.
    """

    def __init__(self, folder: Path, flaws: Flaws, *, extra: Collection[str] = ()) -> None:
        self.folder = folder
        self.actual: dict[str, str] = {}
        self._flaws = flaws
        self._blobs: dict[str, _Blob | None] = {}
        self._contents: dict[str, Content | None] = {}
        self._folders = {""}
        self._tops = self._list("", files=(LAYOUT_FILE, INDEX_FILE, *extra), folder="blobs")
        self._list("blobs", files=(), folder="sha256")
        self._names = self._list(BLOBS, files=None)

    def top(self, name: str) -> bytes | None:
        """The bytes of a file beside the blobs; None, with a flaw noted, where there is none to read."""
        if name not in self._tops:
            return None
        with open_regular(self.folder / name) as stream:
            content = stream.read(LARGEST_DOCUMENT + 1)
        return self._bounded(name, content)

    def document(self, descriptor: Descriptor, referrer: str) -> bytes | None:
        """The bytes of a blob that ``referrer`` names; None, with a flaw noted, where they are not those."""
        blob = self._blob(descriptor, referrer, whole=True)
        return None if blob is None else blob.document

    def content(self, descriptor: Descriptor, referrer: str) -> Content | None:
        """What a blob that ``referrer`` names holds; None, with a flaw noted, if it may not be inside."""
        blob, digest = self._blob(descriptor, referrer), descriptor.digest
        if blob is not None and digest not in self._contents:
            self._contents[digest] = None
            with self._flaws.about(blob_path(digest)):
                if isinstance(blob.content, ContentRefused):
                    raise blob.content
                self._contents[digest] = blob.content
        return self._contents.get(digest)

    def finish(self, *, complete: bool) -> None:
        """Read what nobody asked for; ``complete``: all manifests could be followed, so there should be nothing."""
        for name in sorted(self._names - {digest.removeprefix("sha256:") for digest in self._blobs}):
            blob = self._read(f"sha256:{name}") if _HEX.fullmatch(name) else None
            if complete or not _HEX.fullmatch(name):
                what = "no manifest names it" if blob else "it is no blob"
                self._flaws.add(f"{BLOBS}/{name}", "verify.unexpected", f"it does not belong here: {what}")

    def _blob(self, descriptor: Descriptor, referrer: str, *, whole: bool = False) -> _Blob | None:
        digest = descriptor.digest
        if digest not in self._blobs:
            self._blobs[digest] = self._read(digest, whole=whole) if self._is_there(digest, referrer) else None
        blob = self._blobs[digest]
        if blob is not None and blob.size != descriptor.size:
            message = f"it says that {digest} has {descriptor.size} bytes, and it has {blob.size}"
            self._flaws.add(referrer, "verify.mismatch", message)
        return blob

    def _is_there(self, digest: str, referrer: str) -> bool:
        if digest.removeprefix("sha256:") in self._names:
            return True
        self._flaws.add(blob_path(digest), "verify.missing", f"it is missing, and {referrer} names it")
        self._flaws.add(referrer, "verify.missing", f"it names {digest}, which is not there")
        return False

    def _read(self, digest: str, *, whole: bool = False) -> _Blob | None:
        """The blob with this digest in its name; None, with a flaw noted, if its bytes have another."""
        path, sha256, examiner = blob_path(digest), hashlib.sha256(), Examiner()
        size, kept = 0, bytearray()
        with open_regular(self.folder / path) as stream:
            for chunk in read_chunks(stream.fileno()):
                sha256.update(chunk)
                examiner.feed(chunk)
                size += len(chunk)
                if whole and len(kept) <= LARGEST_DOCUMENT:
                    kept += chunk
        self.actual[digest] = actual = f"sha256:{sha256.hexdigest()}"
        if actual != digest:
            self._flaws.add(path, "verify.mismatch", f"its bytes have the digest {actual}, and its name says another")
            return None
        try:
            content: Content | ContentRefused = examiner.finish()
        except ContentRefused as error:
            content = error
        return _Blob(size, content, self._bounded(path, bytes(kept)) if whole else None)

    def _bounded(self, path: str, content: bytes) -> bytes | None:
        if len(content) <= LARGEST_DOCUMENT:
            return content
        self._flaws.add(
            path, "verify.mismatch", f"it is larger than any document of a bundle ({LARGEST_DOCUMENT} bytes)"
        )
        return None

    def _list(self, below: str, *, files: Collection[str] | None, folder: str | None = None) -> set[str]:
        """The regular files in a folder, which may hold ``files`` (None: any) and one folder, and has to."""
        found: set[str] = set()
        if below not in self._folders:
            return found
        prefix = f"{below}/" if below else ""
        for item in os.scandir(self.folder / below):
            path = prefix + item.name
            if item.is_file(follow_symlinks=False) and (files is None or item.name in files):
                found.add(item.name)
            elif item.is_dir(follow_symlinks=False) and item.name == folder:
                self._folders.add(path)
            else:
                plain = item.is_file(follow_symlinks=False) or item.is_dir(follow_symlinks=False)
                what = "it does not belong here" if plain else "it is a link or a special file"
                self._flaws.add(path, "verify.unexpected", what)
        missing = (
            {*(files or ()), *((folder,) if folder else ())} - found - {path[len(prefix) :] for path in self._folders}
        )
        for name in sorted(missing):
            self._flaws.add(prefix + name, "verify.missing", "it is missing")
        return found
