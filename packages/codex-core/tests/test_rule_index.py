"""Promises of codex_core.rule_index: it finds what a look at every rule would find, in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codex_core.policy import Rule
from codex_core.rule_index import RuleIndex
from codex_core.urls import parse_url

HOSTS = st.sampled_from(["a.example", "b.a.example", "10.0.0.1", "10.9.0.1", "[fd00::1]", "h2", "x9.example"])
NETWORKS = st.sampled_from(
    ["*.a.example", "*.example", "10.0.0.0/8", "10.0.0.0/30", "0.0.0.0/0", "[fd00::/8]", "[::/0]"]
)
ORIGINS = st.tuples(st.sampled_from(["http", "https"]), HOSTS | NETWORKS, st.sampled_from([80, 443]))


@given(st.lists(ORIGINS, max_size=8), st.sampled_from(["http", "https"]), HOSTS, st.sampled_from([80, 443]))
def test_index_finds_the_rules_that_cover_an_origin_in_their_order(
    origins: list[tuple[str, str, int]], scheme: str, host: str, port: int
) -> None:
    rules = [Rule(f"r{at}", f"{one}://{name}:{to}/**", ("read",)) for at, (one, name, to) in enumerate(origins)]
    url = parse_url(f"{scheme}://{host}:{port}/")
    assert list(RuleIndex(rules).covering(url)) == [rule for rule in rules if rule.pattern.matches_origin(url)]
