"""Promises of codex_core.policy: ``decide`` is total and pure, deny wins, and a refusal's remedy is what it takes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from codex_core.config import read_layer
from codex_core.digest import canonical_json
from codex_core.errors import ConfigError, UrlError
from codex_core.policy import CONNECTOR, VERBS, Decision, Layer, Policy, Request, Rule, decide
from codex_core.toml import parse_toml
from codex_core.urls import parse_url

if TYPE_CHECKING:
    from codex_core.policy import Verb

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
TODAY = NOW.date()

# A small world, so that rules and requests often meet.
HOSTS = st.sampled_from(["a.example", "b.a.example", "c.b.a.example", "10.0.0.1", "10.1.0.1", "[fd00::1]", "x_y"])
PATTERN_HOSTS = st.one_of(
    HOSTS, st.sampled_from(["*.a.example", "*.example", "10.0.0.0/8", "10.0.0.0/30", "[fd00::/8]", "[::/0]"])
)
SCHEMES = st.sampled_from(["http", "https"])
PORTS = st.sampled_from([80, 443])
PATHS = st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/a*b", "/%41/é", "//a", "/a%2Fb", "/a%5Cb//c"])
PATTERN_PATHS = st.sampled_from(["/**", "/*", "/a", "/a/*", "/a/**", "/**/c", "/", "//a", "/a%2F*"])
STAGES = st.sampled_from(["train", "pull", "cli"])
DAYS = st.sampled_from([TODAY - timedelta(1), TODAY, TODAY + timedelta(1)])
VERB = st.sampled_from(VERBS)


def _url(scheme: str, host: str, port: int, path: str) -> str:
    return f"{scheme}://{host}:{port}{path}"


RULES = st.builds(
    Rule,
    id=st.sampled_from(["r", "s", "a-example-443", "10-0-0-1-80"]),
    url=st.builds(_url, SCHEMES, PATTERN_HOSTS, PORTS, PATTERN_PATHS),
    verbs=st.lists(VERB, min_size=1, max_size=3, unique=True).map(tuple),
    stages=st.none() | st.lists(STAGES, min_size=1, max_size=2, unique=True).map(tuple),
    expires=st.none() | DAYS,
    reason=st.sampled_from(["", "why"]),
)
MANY = st.lists(RULES, max_size=4).map(tuple)
OPEN_LAYERS = st.builds(Layer, st.just("codex.toml"), MANY, MANY)
LAYERS = st.builds(Layer, st.sampled_from(["a.toml", "b.toml"]), MANY, MANY, st.booleans())
POLICIES = st.lists(LAYERS, max_size=3).map(lambda layers: Policy(tuple(layers)))
OPEN_POLICIES = st.lists(OPEN_LAYERS, max_size=3).map(lambda layers: Policy(tuple(layers)))
REQUESTS = st.builds(Request, VERB, st.builds(_url, SCHEMES, HOSTS, PORTS, PATHS), STAGES)


def _rule(**changes: object) -> Rule:
    plain = Rule("r", "https://h.example:443/**", ("read",))
    return replace(plain, **changes)  # type: ignore[arg-type]  # each test names fields of Rule


def _policy(*allow: Rule, deny: tuple[Rule, ...] = ()) -> Policy:
    return Policy((Layer("codex.toml", allow, deny),))


def _copy(policy: Policy) -> Policy:
    """An equal policy that shares nothing with ``policy``."""
    layers = (
        Layer(layer.origin, tuple(map(replace, layer.allow)), tuple(map(replace, layer.deny)), layer.locked)
        for layer in policy.layers
    )
    return Policy(tuple(layers))


# --- what each answer says ----------------------------------------------------------------------------------------


def test_allow_names_its_rule() -> None:
    policy = _policy(_rule(reason="approved mirror"))
    decision = decide(policy, Request("read", "https://H.example/a?b", "pull"), now=NOW, enforced_by="broker")
    assert decision == Decision(
        verdict="allow",
        rule="r",
        reason="rule 'r' allows read of https://h.example:443/a: approved mirror",
        remedy=None,
        url="https://h.example:443/a",
        verb="read",
        stage="pull",
        policy=policy.digest,
        enforced_by="broker",
    )


def test_refusal_has_a_rule_ready_to_paste() -> None:
    decision = decide(_policy(_rule(id="h-example-443")), Request("write", "https://h.example/a*", "pull"), now=NOW)
    assert (decision.verdict, decision.rule) == ("refuse", None)
    assert decision.reason == (
        "no rule allows write of https://h.example:443/a%2A for stage 'pull'; rule 'h-example-443' allows only read"
    )
    assert decision.remedy == (
        '[[policy.allow]]\nid = "h-example-443-2"\nurl = "https://h.example:443/a%2A"\n'
        'verbs = ["write"]\nstages = ["pull"]\nreason = "why this endpoint is needed"'
    )


@pytest.mark.parametrize(
    ("rule", "miss"),
    [
        (_rule(stages=("train", "test")), "; rule 'r' is only for train, test"),
        (_rule(expires=date(2026, 6, 14)), "; rule 'r' expired on 2026-06-14"),
        (_rule(url="https://h.example:443/b"), ""),
        (_rule(verbs=("list",), stages=("train",)), "; rule 'r' allows only list"),
        (_rule(verbs=("list",), expires=date(2026, 6, 14)), "; rule 'r' expired on 2026-06-14"),
    ],
)
def test_refusal_says_which_rule_nearly_allowed(rule: Rule, miss: str) -> None:
    decision = decide(_policy(rule), Request("read", "https://h.example/a", "pull"), now=NOW)
    assert decision.reason == f"no rule allows read of https://h.example:443/a for stage 'pull'{miss}"


def test_to_a_connector_a_verb_is_no_obstacle() -> None:
    request = Request("connect", "https://h.example:443/", "pull", CONNECTOR)
    for rule, miss in (
        (_rule(expires=date(2026, 6, 14)), "; rule 'r' expired on 2026-06-14"),
        (_rule(stages=("train",)), "; rule 'r' is only for train"),
    ):
        assert decide(_policy(rule), request, now=NOW).reason.endswith(miss)


def test_deny_wins_over_every_allow() -> None:
    policy = _policy(_rule(), deny=(_rule(id="never", url="https://h.example:443/secret/**"),))
    assert decide(policy, Request("read", "https://h.example/a", "pull"), now=NOW).rule == "r"
    refused = decide(policy, Request("read", "https://h.example/secret/a", "pull"), now=NOW)
    assert (refused.verdict, refused.rule) == ("refuse", "never")
    assert refused.reason == "rule 'never' denies read of https://h.example:443/secret/a"


@pytest.mark.parametrize(
    "path",
    ["//secret/x", "/secret%2Fx", "/%2fsecret/x", "/secret%5cx", "/a//../secret/x", "/secret;a=1/x", "/secret;/x;b"],
)
def test_no_spelling_talks_a_deny_away(path: str) -> None:
    policy = _policy(_rule(), deny=(_rule(id="never", url="https://h.example:443/secret/**"),))
    assert not decide(policy, Request("read", f"https://h.example{path}", "pull"), now=NOW).allowed


def test_deny_says_in_which_reading_it_matches() -> None:
    policy = _policy(_rule(), deny=(_rule(id="never", url="https://h.example:443/secret/**"),))
    refused = decide(policy, Request("read", "https://h.example/secret%2fx", "pull"), now=NOW)
    assert (refused.rule, refused.url) == ("never", "https://h.example:443/secret%2Fx")
    assert refused.reason == (
        "rule 'never' denies read of https://h.example:443/secret%2Fx (to some servers /secret/x)"
    )


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [("/**", True), ("/@scope**", True), ("/@scope%2Fname", True), ("/@scope/*", False), ("/*", False)],
)
def test_encoded_slash_is_allowed_by_a_rule_that_covers_its_readings(pattern: str, allowed: bool) -> None:
    policy = _policy(_rule(url=f"https://h.example:443{pattern}"))
    assert decide(policy, Request("read", "https://h.example/@scope%2fname", "pull"), now=NOW).allowed == allowed


def test_first_allow_that_matches_is_named_across_layers() -> None:
    policy = Policy(
        (Layer("a", (_rule(id="one", verbs=("write",)),)), Layer("b", (_rule(id="two"), _rule(id="three"))))
    )
    assert decide(policy, Request("read", "https://h.example/", "pull"), now=NOW).rule == "two"


def test_connect_is_granted_by_connect_alone_and_denied_by_any_deny_there() -> None:
    request = Request("connect", "https://h.example/", "train")
    assert not decide(_policy(_rule(verbs=("read", "write", "list", "delete"))), request, now=NOW).allowed
    narrow = _rule(verbs=("connect",), url="https://h.example:443/only/this")
    assert decide(_policy(narrow), request, now=NOW).allowed
    deny = _rule(id="d", verbs=("delete",), url="https://h.example:443/other")
    assert decide(_policy(narrow, deny=(deny,)), request, now=NOW).rule == "d"


def test_code_that_checks_verb_and_path_itself_may_connect_by_any_rule() -> None:
    rule = Rule("a", "https://h:9/models/**", ("read",), stages=("s",))
    request = Request("connect", "https://h:9/", "s", CONNECTOR)
    assert decide(Policy((Layer("t", (rule,)),)), request, now=NOW).rule == "a"
    refused = [
        (Policy((Layer("t", (rule,)),)), replace(request, actor="program")),
        (Policy((Layer("t", (rule,)),)), replace(request, stage="other")),
        (Policy((Layer("t", (rule,)),)), replace(request, url="https://h:8/")),
        (Policy((Layer("t", (replace(rule, expires=date(2020, 1, 1)),)),)), request),
        (Policy((Layer("t", (rule,)), Layer("site", locked=True))), request),
        (Policy((Layer("t", (rule,), (Rule("d", "https://h:9/secret", ("read",)),)),)), request),
    ]
    assert [decide(policy, asked, now=NOW).verdict for policy, asked in refused] == ["refuse"] * 6


def test_locked_layer_must_allow_as_well() -> None:
    locked = Layer("/etc/codex/policy.toml", (_rule(id="site", verbs=("list",)),), locked=True)
    policy = Policy((locked, Layer("codex.toml", (_rule(verbs=("read", "list")),))))
    refused = decide(policy, Request("read", "https://h.example/", "pull"), now=NOW)
    assert (refused.verdict, refused.rule) == ("refuse", None)
    assert refused.reason == "the locked policy /etc/codex/policy.toml does not allow read of https://h.example:443/"
    assert decide(policy, Request("list", "https://h.example/", "pull"), now=NOW).allowed


def test_bad_url_is_refused_with_its_right_spelling() -> None:
    decision = decide(_policy(_rule()), Request("read", "https://me@h.example/", "pull"), now=NOW)
    assert (decision.verdict, decision.url) == ("refuse", "https://h.example/")
    assert decision.reason == "the URL has user information before its host"
    assert decision.remedy == "write 'https://h.example/', and name credentials in the store"


@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        (datetime(2026, 6, 15, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 6, 16, 0, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 6, 16, 1, 30, tzinfo=timezone(timedelta(hours=2))), True),
        (datetime(2026, 6, 15, 23, 0, tzinfo=timezone(timedelta(hours=-2))), False),
    ],
)
def test_rule_is_valid_to_the_end_of_its_day_in_utc(now: datetime, allowed: bool) -> None:
    policy = _policy(_rule(expires=date(2026, 6, 15)))
    assert decide(policy, Request("read", "https://h.example/", "pull"), now=now).allowed == allowed


def test_rule_refuses_what_is_no_rule() -> None:
    with pytest.raises(UrlError):
        _rule(url="https://h.example/**")
    with pytest.raises(ConfigError, match="use some of read, list, write, delete, connect"):
        _rule(verbs=("get",))
    with pytest.raises(ConfigError):
        _rule(verbs=())


def test_digest_covers_rules_and_not_where_they_were_read() -> None:
    layer = Layer("a.toml", (_rule(verbs=("read", "list")),))
    assert Policy((layer,)).digest == Policy((replace(layer, origin="b.toml"),)).digest
    assert Policy((layer,)).digest == Policy((replace(layer, allow=(_rule(verbs=("list", "read")),)),)).digest
    others = [replace(layer, locked=True), Layer("a.toml", (), layer.allow), replace(layer, allow=(_rule(reason="x"),))]
    assert len({Policy((layer,)).digest, *(Policy((other,)).digest for other in others)}) == 4


def test_decision_survives_json() -> None:
    decision = decide(Policy(), Request("read", "https://h.example/", "pull"), now=NOW)
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_same_answer_ignores_the_rest_of_the_policy() -> None:
    request = Request("read", "https://h.example/", "pull")
    one = decide(_policy(_rule()), request, now=NOW)
    assert one.same_answer(decide(_policy(_rule(), _rule(id="s")), request, now=NOW, enforced_by="kernel"))
    assert not one.same_answer(decide(_policy(_rule(id="s")), request, now=NOW))


# --- for every policy and request ---------------------------------------------------------------------------------


@given(POLICIES, VERB, st.one_of(st.text(), st.text().map(lambda rest: f"https://{rest}")), STAGES)
@example(Policy(), "read", "\udc80", "cli")
def test_decide_answers_any_text_and_the_answer_can_be_recorded(
    policy: Policy, verb: Verb, url: str, stage: str
) -> None:
    decision = decide(policy, Request(verb, url, stage), now=NOW)
    assert canonical_json(decision.to_json())
    assert decision.reason
    assert decision.allowed or decision.remedy


SECRET = "s3cr3t"


@given(
    st.sampled_from(["https", "http", "ftp", "HTTP", ""]),
    st.text(max_size=5),
    st.text(max_size=5),
    st.sampled_from(["h.example", "h.example:443", "127.1", "[::1]:80", "", "é.example:x"]),
    st.text(max_size=5),
)
@example("https", "", "/", "h.example", "/a")
@example("https", "user:", "://", "h.example", "/@a")
@example("https", "user:", "?", "h.example", "/a")
def test_no_decision_holds_a_credential(scheme: str, before: str, after: str, host: str, path: str) -> None:
    assume("@" not in path and not set("/?#") & set(before))  # with one of these, it reads as another URL
    for url in (
        f"{scheme}://{before}:{SECRET}{after}@{host}{path}",
        f"{scheme}://{host}/{path}?token={SECRET}{after}",
        f"{scheme}://{host}/{path}#{SECRET}",
    ):
        assert SECRET not in json.dumps(decide(Policy(), Request("read", url, "s"), now=NOW).to_json())


@given(POLICIES, REQUESTS)
def test_decide_is_pure(policy: Policy, request: Request) -> None:
    before = repr(policy)
    first = decide(policy, request, now=NOW)
    assert decide(policy, request, now=NOW) == first == decide(_copy(policy), request, now=NOW)
    assert repr(policy) == before


SPELLINGS = st.sampled_from(
    [
        lambda url: url[: url.index("/", 8)].upper() + url[url.index("/", 8) :],
        lambda url: url.replace(":443/", "/", 1) if url.lower().startswith("https") else url.replace(":80/", "/", 1),
        lambda url: url.replace("example:", "EXAMPLE.:"),
        lambda url: url[:8] + url[8:].replace("/a", "/%61"),
        lambda url: url[:8] + url[8:].replace("/b", "/x/../%2e/b"),
        lambda url: url.replace("//10.0.0.1", "//0xa.1").replace("//10.1.0.1", "//012.65537"),
        lambda url: url.replace("//10.0.0.1", "//[::ffff:10.0.0.1]").replace("//10.1.0.1", "//[::FFFF:A01:1]"),
        lambda url: url.replace("fd00::1", "FD00:0:0::0:1"),
        lambda url: url.replace("*", "%2a").replace("é", "%c3%A9").replace("%41", "A"),
        lambda url: f"{url}?q=1&r=/../x#f",
    ]
)


@given(POLICIES, REQUESTS, st.lists(SPELLINGS, max_size=4))
def test_every_spelling_of_a_request_gets_the_same_decision(
    policy: Policy, request: Request, spellings: list[object]
) -> None:
    url = request.url
    for spell in spellings:
        url = spell(url)  # type: ignore[operator]  # a function of SPELLINGS
    assert decide(policy, replace(request, url=url), now=NOW) == decide(policy, request, now=NOW)


SLASHES = st.sampled_from(["/", "//", "%2F", "%2f%2F", "/%2F", "%5C", "/%5c"])
PARTS = st.lists(st.tuples(SLASHES, st.sampled_from(["a", "b", "..", "."])), min_size=1, max_size=4)
EFFECTS = st.sampled_from([("/**", "/a/**"), ("/**", "/b"), ("/**", "/*/a"), ("/*", None), ("/b/*", None)])


@settings(max_examples=500)
@given(EFFECTS, PARTS)
def test_no_spelling_of_its_slashes_allows_what_is_refused(
    effects: tuple[str, str | None], parts: list[tuple[str, str]]
) -> None:
    allow, *deny = (_rule(url=f"https://h.example:443{path}") for path in effects if path)
    policy = _policy(allow, deny=tuple(deny))
    plain, respelt = "/".join(part for _, part in parts), "".join(slash + part for slash, part in parts)
    answers = [
        decide(policy, Request("read", f"https://h.example/{path.removeprefix('/')}", "pull"), now=NOW).allowed
        for path in (plain, respelt)
    ]
    assert answers != [False, True]


def _with(policy: Policy, at: int, layer: Layer) -> Policy:
    at %= len(policy.layers) + 1
    return Policy((*policy.layers[:at], layer, *policy.layers[at:]))


@given(POLICIES, REQUESTS, RULES, st.integers(0, 3))
def test_another_deny_never_allows_more(policy: Policy, request: Request, rule: Rule, at: int) -> None:
    after = decide(_with(policy, at, Layer("d", deny=(rule,))), request, now=NOW)
    assert not after.allowed or decide(policy, request, now=NOW).allowed


@given(OPEN_POLICIES, REQUESTS, RULES, st.integers(0, 3))
def test_another_allow_never_refuses_more(policy: Policy, request: Request, rule: Rule, at: int) -> None:
    after = decide(_with(policy, at, Layer("a", allow=(rule,))), request, now=NOW)
    assert after.allowed or not decide(policy, request, now=NOW).allowed


@given(POLICIES, REQUESTS, LAYERS, st.integers(0, 3))
def test_locking_a_layer_only_narrows(policy: Policy, request: Request, layer: Layer, at: int) -> None:
    locked = decide(_with(policy, at, replace(layer, locked=True)), request, now=NOW)
    unlocked = decide(_with(policy, at, replace(layer, locked=False)), request, now=NOW)
    assert not locked.allowed or unlocked.allowed
    alone = decide(Policy((replace(layer, locked=False),)), request, now=NOW)
    assert not locked.allowed or alone.allowed


@given(POLICIES, REQUESTS)
def test_allowed_requests_are_those_that_the_definition_allows(policy: Policy, request: Request) -> None:
    url = parse_url(request.url)

    def covers(rule: Rule, *, deny: bool = False) -> bool:
        path = rule.pattern.touches_path(url) if deny else rule.pattern.matches_path(url)
        here = rule.pattern.matches_origin(url) and (path or request.verb == "connect")
        in_time = rule.expires is None or rule.expires >= TODAY
        return here and in_time and (rule.stages is None or request.stage in rule.stages)

    denied = any(
        covers(rule, deny=True) and (request.verb == "connect" or request.verb in rule.verbs)
        for layer in policy.layers
        for rule in layer.deny
    )
    allows = [[rule.id for rule in one.allow if covers(rule) and request.verb in rule.verbs] for one in policy.layers]
    locked = all(ids for ids, layer in zip(allows, policy.layers, strict=True) if layer.locked)
    first = next((rule for ids in allows for rule in ids), None)
    decision = decide(policy, request, now=NOW)
    assert decision.allowed == (not denied and locked and first is not None)
    if decision.allowed:
        assert decision.rule == first


@given(OPEN_LAYERS, REQUESTS)
def test_remedy_pasted_into_the_file_turns_the_refusal_into_an_allow(layer: Layer, request: Request) -> None:
    kept = {rule.id: rule for rule in (*layer.allow, *layer.deny)}  # a file has each id once
    layer = replace(
        layer,
        allow=tuple(rule for rule in layer.allow if kept[rule.id] is rule),
        deny=tuple(rule for rule in layer.deny if kept[rule.id] is rule),
    )
    refused = decide(Policy((layer,)), request, now=NOW)
    assume(not refused.allowed and refused.rule is None)
    pasted, problems = read_layer(parse_toml(f"{_written(layer)}{refused.remedy}\n", "codex.toml"))
    assert problems == []
    assert Policy((replace(pasted, allow=pasted.allow[:-1]),)).digest == Policy((layer,)).digest
    allowed = decide(Policy((pasted,)), request, now=NOW)
    assert (allowed.verdict, allowed.rule) == ("allow", pasted.allow[-1].id)


def _written(layer: Layer) -> str:
    return "".join(
        f"[[policy.{kind}]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in rule.to_json().items() if value is not None)
        for kind in ("allow", "deny")
        for rule in getattr(layer, kind)
    )
