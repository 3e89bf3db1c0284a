"""What doors promise: one for each endpoint that a rule of the stage names, under its own name or address."""

from __future__ import annotations

from datetime import date

import pytest

from codex_core.errors import ConfigError
from codex_core.offline.doors import Door, Place, has_door, openings_for, unopened_for
from codex_core.policy import Layer, Policy, Rule
from codex_core.urls import parse_url

TODAY = date(2026, 5, 4)


def policy(*rules: Rule) -> Policy:
    return Policy((Layer("here", allow=rules),))


def test_each_endpoint_has_a_door_and_each_name_an_address() -> None:
    urls = [
        "https://a.example:443/x",
        "https://a.example:443/y",
        "http://a.example:80/**",
        "https://b.example:443/**",
        "https://*.wide.example:443/**",
        "https://10.0.0.0/8:443/**",
        "http://10.1.2.3:9000/**",
        "http://[fd00::1]:9000/**",
        "http://localhost:8080/**",
        "http://127.0.0.1:8080/**",
    ]
    opened = openings_for(policy(*(Rule(f"r{n}", url, ("read",)) for n, url in enumerate(urls))), "s", TODAY)
    assert opened is not None
    assert opened.doors == (
        None,
        Door("https", ("a.example",), 443, "127.77.0.2"),
        Door("http", ("a.example",), 80, "127.77.0.2"),
        Door("https", ("b.example",), 443, "127.77.0.3"),
        Door("http", ("10.1.2.3",), 9000, "10.1.2.3"),
        Door("http", ("fd00::1",), 9000, "fd00::1"),
        Door("http", ("localhost", "127.0.0.1"), 8080, "127.0.0.1"),
    )
    assert opened.listeners[0] == ("127.77.0.1", 3128)
    assert opened.listeners[1:] == tuple((door.address, door.port) for door in opened.doors if door)
    assert opened.names == {"a.example": "127.77.0.2", "b.example": "127.77.0.3"}
    assert opened.addresses == ("10.1.2.3", "fd00::1")
    assert opened.environment["https_proxy"] == "http://127.77.0.1:3128"
    assert opened.environment["NO_PROXY"] == "localhost,127.0.0.1,::1"


def test_only_the_rules_of_the_stage_that_still_hold_open_anything() -> None:
    rules = (
        Rule("other", "https://a.example:443/**", ("read",), stages=("other",)),
        Rule("over", "https://b.example:443/**", ("read",), expires=date(2026, 5, 3)),
    )
    assert openings_for(policy(*rules), "s", TODAY) is None
    last = Rule("last", "https://c.example:443/**", ("read",), stages=("s",), expires=TODAY)
    opened = openings_for(policy(*rules, last), "s", TODAY)
    assert opened is not None
    assert opened.names == {"c.example": "127.77.0.2"}


def test_a_wildcard_alone_opens_the_proxy_alone() -> None:
    opened = openings_for(policy(Rule("a", "https://*.example:443/**", ("connect",))), "s", TODAY)
    assert opened is not None
    assert (opened.doors, opened.names) == ((None,), {})


def test_more_doors_than_a_seal_can_have_are_a_mistake_of_the_policy() -> None:
    many = [Rule(f"r{n}", f"https://h{n}.example:443/**", ("read",)) for n in range(300)]
    assert len(openings_for(policy(*many[:199]), "s", TODAY).doors) == 200  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="the rules for 's' name 300 endpoints, and a seal has 199 doors"):
        openings_for(policy(*many), "s", TODAY)


def test_each_of_many_names_has_an_address_of_its_own() -> None:
    names = {f"h{n}.example" for n in range(199)}
    opened = openings_for(policy(*(Rule(n, f"https://{n}:443/**", ("read",)) for n in sorted(names))), "s", TODAY)
    assert opened is not None
    assert len(set(opened.names.values())) == 199


def test_what_of_the_host_is_not_opened_is_told_with_the_reason() -> None:
    rules = policy(
        Rule("pull", "http://127.0.0.1:8740/**", ("read",), ("fetch",)),
        Rule("old", "https://[::1]:8741/**", ("connect",), None, date(2026, 5, 3)),
        Rule("opened", "http://127.0.0.1:8742/**", ("read",)),
        Rule("same", "http://localhost:8742/**", ("read",), ("fetch",)),
        Rule("away", "http://10.0.0.1:80/**", ("read",), ("fetch",)),
        Rule("net", "http://127.0.0.0/8:80/**", ("read",), ("fetch",)),
        Rule("wide", "https://*.example:443/**", ("connect",)),
    )
    unopened = unopened_for(rules, "s", TODAY)
    assert unopened.of_host == (
        Place("http://127.0.0.1:8740", "pull", "is only for fetch"),
        Place("https://[::1]:8741", "old", "expired on 2026-05-03"),
    )
    assert unopened.wide == ("wide",)
    assert unopened.describe(attempts=0, unanswered=0) is None
    told = unopened.describe(attempts=1, unanswered=2)
    assert told is not None
    assert "(codex policy explain http://127.0.0.1:8740/ --stage s); it gets to what rule 'wide' covers" in told


def test_where_rules_of_both_schemes_name_an_endpoint_it_has_a_door_of_http() -> None:
    rules = policy(
        Rule("a", "https://a.example:8443/**", ("connect",)), Rule("b", "http://a.example:8443/x", ("read",))
    )
    opened = openings_for(rules, "s", TODAY)
    assert opened is not None
    assert opened.doors[1:] == (Door("http", ("a.example",), 8443, "127.77.0.2"),)
    assert has_door(rules, "s", TODAY, parse_url("http://a.example:8443/"))
    assert not has_door(rules, "s", TODAY, parse_url("http://a.example:8444/"))
