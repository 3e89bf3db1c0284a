"""Promises of codex_core.store_urls: a store's URL means the same everywhere, or says what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_core.errors import UrlError
from codex_core.store_urls import absolute_store_url


@pytest.mark.parametrize(
    ("written", "absolute"),
    [
        ("file:mirror", "file:///my%20project/mirror"),
        ("file:a b/%25/é", "file:///my%20project/a%20b/%25/%C3%A9"),
        ("file:../x", "file:///my%20project/../x"),
        ("file:.", "file:///my%20project"),
        ("file:/srv/mirror", "file:///srv/mirror"),
        ("file:///srv/a%20b", "file:///srv/a%20b"),
        ("python:stdlib", "python:stdlib"),
        ("s3://models", "s3://models"),
        ("s3://models/a/b/", "s3://models/a/b/"),
        ("azure://$web/x", "azure://$web/x"),
        ("https://h.example:8443/a", "https://h.example:8443/a"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ],
)
def test_store_url_means_the_same_everywhere(written: str, absolute: str) -> None:
    assert absolute_store_url(written, Path("/my project")) == absolute
    assert absolute_store_url(absolute, Path("/elsewhere")) == absolute


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:", "names no folder; write file:///absolute/folder or file:folder/beside/this/file"),
        ("file://host/x", "names no folder; write file:///absolute/folder or file:folder/beside/this/file"),
        ("file:a%00", "names no folder; write file:///absolute/folder or file:folder/beside/this/file"),
        ("python:site", "is no URL of a store; write python:stdlib"),
        ("s3:/models", "is no URL of a store; write s3://BUCKET or s3://BUCKET/PREFIX"),
        ("azure://", "is no URL of a store; write azure://CONTAINER or azure://CONTAINER/PREFIX"),
        ("s3://b/../c", "has a prefix with '', '.' or '..'; write it without them"),
        ("models", "is no URL of a store; begin it with file, python, s3, azure, https or http"),
        ("", "is no URL of a store; begin it with file, python, s3, azure, https or http"),
        ("https://h/a#b", "has a query or a fragment; write 'https://h/a'"),
    ],
)
def test_store_url_that_means_nothing_is_refused(url: str, said: str) -> None:
    with pytest.raises(UrlError) as raised:
        absolute_store_url(url, Path("/project"))
    assert str(raised.value) == f"{url!r} {said}"
