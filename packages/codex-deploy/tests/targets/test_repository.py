from __future__ import annotations

import pytest

from codex_core.errors import UrlError
from codex_deploy.targets.repository import Repository, parse_repository


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://Registry.example/models/lm", Repository("https://registry.example:443", "models/lm", None)),
        ("oci://registry.example:5000/lm:v1.2", Repository("https://registry.example:5000", "lm", "v1.2")),
        ("http://10.0.0.1:80/a/b__c/d-e.f", Repository("http://10.0.0.1:80", "a/b__c/d-e.f", None)),
        ("https://[fd00::1]/lm", Repository("https://[fd00::1]:443", "lm", None)),
    ],
)
def test_a_url_names_a_repository_and_perhaps_a_tag(url: str, repository: Repository) -> None:
    assert parse_repository(url) == repository


@pytest.mark.parametrize(
    "url",
    ["https://a.example", "https://a.example/", "https://a.example/Upper", "https://a.example/a//b", "ftp://a.example/x",
     "https://a.example/x:", "https://a.example/x?y", "https://u@a.example/x", "https://a.example/x#y", "lm"],
)  # fmt: skip
def test_any_other_url_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(UrlError) as caught:
        parse_repository(url)
    assert caught.value.hint
