"""A repository of a registry: what a target's URL names, and the canonical URLs of the requests for it.

Source: the OCI distribution specification 1.1, for the grammar of names and tags and the paths of requests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from codex_core.errors import UrlError
from codex_core.urls import RequestUrl, parse_url

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"/({_PART}(?:/{_PART})*)(?::([A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?")


@dataclass(frozen=True)
class Repository:
    """Where a registry keeps a model: its origin, the repository's name, and the tag (None: the bundle's name)."""

    origin: str
    name: str
    tag: str | None

    @property
    def root(self) -> str:
        """The URL below which all requests for this repository lie."""
        return f"{self.origin}/v2/{self.name}"

    @property
    def scope(self) -> str:
        """The pattern of all these requests."""
        return f"{self.root}/**"

    def uploads(self) -> str:
        """The URL to which blobs are posted; the digest is in the query, which no policy sees."""
        return f"{self.root}/blobs/uploads/"

    def blob(self, digest: str) -> str:
        """The URL of a blob."""
        return f"{self.root}/blobs/{digest}"

    def manifest(self, bundle_name: str) -> str:
        """The URL of the manifest."""
        return f"{self.root}/manifests/{self.tag or bundle_name}"


def parse_repository(url: str) -> Repository:
    """The repository that ``url`` names; UrlError, with what to write instead, if it names none."""
    target = parse_url("https" + url.removeprefix("oci") if url.startswith("oci://") else url)
    found = _REPOSITORY.fullmatch(target.path)
    if found is None or "?" in url or "#" in url:
        raise UrlError(
            f"{url!r} names no repository", hint="write https://HOST:PORT/NAME or https://HOST:PORT/NAME:TAG"
        )
    return Repository(RequestUrl(target.scheme, target.host, target.port, "").origin, found[1], found[2])
