"""Policy: rules, requests, and ``decide``, the pure function that answers whether a request may leave the machine.

Nothing is allowed unless a rule allows it. A deny wins; otherwise the first allow that matches decides; otherwise the
request is refused, with no rule. Layers add up, and a locked layer must allow the request as well. A path that servers
may read differently is denied in any of its readings, and allowed only in all of them (see ``codex_core.urls``).

A CONNECT tunnel hides verb and path. So a ``connect`` is judged by the origin alone, only a rule whose verbs include
``connect`` allows it, and any deny at that origin refuses it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Any, Literal, get_args

from codex_core.errors import ConfigError, UrlError
from codex_core.lazy import lazy
from codex_core.rule_index import RuleIndex
from codex_core.urls import RequestUrl, UrlPattern, parse_pattern, parse_url, redacted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Verb = Literal["read", "list", "write", "delete", "connect"]
VERBS: tuple[Verb, ...] = get_args(Verb)
EnforcedBy = Literal["client", "broker", "kernel"]


@dataclass(frozen=True)
class Rule:
    """One line of a policy: what may, or may not, be reached, by whom, and until when.

    ``stages`` None means every stage. ``expires`` is the last day, in UTC, on which the rule holds. UrlError if
    ``url`` is not a pattern; ConfigError if a verb is unknown.
    """

    id: str
    url: str
    verbs: tuple[Verb, ...]
    stages: tuple[str, ...] | None = None
    expires: date | None = None
    reason: str = ""
    pattern: UrlPattern = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.verbs) - set(VERBS))
        if unknown or not self.verbs:
            raise ConfigError(
                f"rule {self.id!r} has the verbs {list(self.verbs)}", hint=f"use some of {', '.join(VERBS)}"
            )
        object.__setattr__(self, "pattern", parse_pattern(self.url))

    def holds(self, stage: str, today: date) -> bool:
        """Whether it is for ``stage``, and has not expired on the day ``today`` in UTC."""
        return self.absence(stage, today) is None

    def is_over(self, today: date) -> bool:
        """Whether it has expired on the day ``today`` in UTC."""
        return self.expires is not None and today > self.expires

    def absence(self, stage: str, today: date) -> str | None:
        """Why it is not in force for ``stage`` on the day ``today`` in UTC, to go on after the rule; None if it is."""
        if self.expires is not None and self.is_over(today):
            return f"expired on {self.expires.isoformat()}"
        if self.stages is not None and stage not in self.stages:
            return f"is only for {', '.join(self.stages)}"
        return None

    def to_json(self) -> dict[str, object]:
        """The rule as the policy's digest covers it."""
        return {
            "id": self.id,
            "url": self.url,
            "verbs": sorted(self.verbs),
            "stages": None if self.stages is None else sorted(self.stages),
            "expires": None if self.expires is None else self.expires.isoformat(),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rule:  # Any: the members that to_json wrote
        """The Rule that ``to_json`` wrote."""
        stages = None if data["stages"] is None else tuple(data["stages"])
        expires = None if data["expires"] is None else date.fromisoformat(data["expires"])
        return cls(data["id"], data["url"], tuple(data["verbs"]), stages, expires, data["reason"])


@dataclass(frozen=True)
class Layer:
    """The rules of one policy file; ``origin`` is where they were read, which no digest covers."""

    origin: str
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    locked: bool = False

    @lazy
    def allows(self) -> RuleIndex:
        """The allow rules by the endpoints that they cover."""
        return RuleIndex(self.allow)

    @lazy
    def denies(self) -> RuleIndex:
        """The deny rules by the endpoints that they cover."""
        return RuleIndex(self.deny)

    def to_json(self) -> dict[str, object]:
        """The layer as the policy's digest covers it."""
        return {
            "allow": [rule.to_json() for rule in self.allow],
            "deny": [rule.to_json() for rule in self.deny],
            "locked": self.locked,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, origin: str) -> Layer:  # Any: the members that to_json wrote
        """The Layer that ``to_json`` wrote, read at ``origin``."""
        allow, deny = (tuple(Rule.from_json(rule) for rule in data[effect]) for effect in ("allow", "deny"))
        return cls(origin, allow, deny, data["locked"])


@dataclass(frozen=True)
class Policy:
    """What may be reached: the layers, in the order in which they were read. The empty policy allows nothing."""

    layers: tuple[Layer, ...] = ()

    @lazy
    def digest(self) -> str:
        """``sha256:<hex>`` of the rules; where they were read does not change it."""
        from codex_core.digest import digest_json

        return digest_json([layer.to_json() for layer in self.layers])

    @lazy
    def ids(self) -> frozenset[str]:
        """The ids of all rules."""
        return frozenset(rule.id for layer in self.layers for rule in (*layer.allow, *layer.deny))


PROGRAM = "program"
"""The actor that checks nothing itself, as one does that was not written for Codex."""
CLI = "cli"
"""On whose behalf a command asks that runs no stage."""
OWN_STAGES = (CLI, "sealed")
"""What no stage of a pipeline may be called; a program that ``codex sealed`` runs asks as the second."""
CONNECTOR = "connector"
"""The actor whose code checks verb and path itself before it connects: a built-in connector stage, or codex store."""


def is_misspelt(stage: str, stages: Collection[str]) -> bool:
    """Whether ``stage`` is none of ``stages``, which a pipeline file has, nor one of Codex's own names.

    Where there is no pipeline, it may be another's: only what is like a name of Codex is misspelt.
    """
    from codex_core.wording import did_you_mean

    return stage not in {*stages, *OWN_STAGES} and bool(stages or did_you_mean(stage, OWN_STAGES))


@dataclass(frozen=True)
class Request:
    """One wish to reach an endpoint: ``url`` in any spelling, ``actor`` who asks, ``stage`` on whose behalf.

    A tunnel hides verb and path. So ``connect`` is allowed by a rule with that verb, and to CONNECTOR by any rule.
    ``scope`` is a pattern of every URL that the same work needs by this verb: a remedy then allows all of it at once.
    """

    verb: Verb
    url: str
    stage: str
    actor: str = "codex"
    scope: str | None = None


@dataclass(frozen=True)
class Decision:
    """The answer to a Request: ``rule`` is the id of the rule that decided, None where none did.

    ``remedy`` says what to do next: a rule ready to paste into codex.toml, or the URL's right spelling. ``url`` is
    canonical where the request's had a canonical form. ``policy`` is the policy's digest.
    """

    verdict: Literal["allow", "refuse"]
    rule: str | None
    reason: str
    remedy: str | None
    url: str
    verb: Verb
    stage: str
    policy: str
    enforced_by: EnforcedBy = "client"

    @property
    def allowed(self) -> bool:
        """Whether the request may go out."""
        return self.verdict == "allow"

    def to_json(self) -> dict[str, str | None]:
        """The object that ``--json``, the ledger and the status block show."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Decision:
        """The Decision that ``to_json`` wrote."""
        return cls(**data)  # type: ignore[arg-type]  # read back from to_json; a foreign object fails by its keys

    def same_answer(self, other: Decision) -> bool:
        """Whether both say the same for the same request, whatever else the policy holds."""
        return (self.verdict, self.rule, self.url, self.verb, self.stage) == (
            other.verdict,
            other.rule,
            other.url,
            other.verb,
            other.stage,
        )


def decide(policy: Policy, request: Request, *, now: datetime, enforced_by: EnforcedBy = "client") -> Decision:
    """Judge ``request`` by ``policy`` at the time ``now`` (aware). Pure and total: it never raises for a bad URL."""
    asked = _Asked(policy, request, now.astimezone(UTC).date(), enforced_by)
    try:
        url = parse_url(request.url)
    except UrlError as error:
        shown = redacted(request.url)
        writable = shown.encode(errors="backslashreplace").decode()  # a lone surrogate is in no ledger's line
        return asked.answer("refuse", None, error.message, error.hint, writable)
    return _judge(policy, asked, url)


@dataclass(frozen=True)
class _Asked:
    """A request with all that its Decision needs."""

    policy: Policy
    request: Request
    today: date
    enforced_by: EnforcedBy

    def answer(
        self, verdict: Literal["allow", "refuse"], rule: Rule | None, reason: str, remedy: str | None, url: str
    ) -> Decision:
        verb, stage = self.request.verb, self.request.stage
        rule_id = None if rule is None else rule.id
        return Decision(verdict, rule_id, reason, remedy, url, verb, stage, self.policy.digest, self.enforced_by)


def _judge(policy: Policy, asked: _Asked, url: RequestUrl) -> Decision:
    where = str(url)
    wish = f"{asked.request.verb} of {where}{_read_as(url)}"
    for rule in chain.from_iterable(layer.denies.covering(url) for layer in policy.layers):
        if _denies(rule, asked, url):
            remedy = f"ask whoever keeps the policy to change the deny rule {rule.id!r}: a deny wins over every allow"
            return asked.answer("refuse", rule, f"rule {rule.id!r} denies {wish}{_because(rule)}", remedy, where)
    for layer in policy.layers:
        if layer.locked and not any(_allows(rule, asked, url) for rule in layer.allows.covering(url)):
            reason = f"the locked policy {layer.origin} does not allow {wish}"
            remedy = f"ask whoever keeps {layer.origin} for this rule:\n{_rule_to_paste(asked, url)}"
            return asked.answer("refuse", None, reason, remedy, where)
    for rule in chain.from_iterable(layer.allows.covering(url) for layer in policy.layers):
        if _allows(rule, asked, url):
            return asked.answer("allow", rule, f"rule {rule.id!r} allows {wish}{_because(rule)}", None, where)
    reason = f"no rule allows {wish} for stage {asked.request.stage!r}{_near_miss(policy, asked, url)}"
    return asked.answer("refuse", None, reason, _rule_to_paste(asked, url), where)


def _allows(rule: Rule, asked: _Asked, url: RequestUrl) -> bool:
    return _names_verb(rule, asked) and rule.holds(asked.request.stage, asked.today) and _covers(rule, asked, url)


def _names_verb(rule: Rule, asked: _Asked) -> bool:
    verb, actor = asked.request.verb, asked.request.actor
    return verb in rule.verbs or (verb == "connect" and actor == CONNECTOR)


def _covers(rule: Rule, asked: _Asked, url: RequestUrl) -> bool:
    """Whether an allow that covers the request's origin covers the request: a connect shows no path."""
    return asked.request.verb == "connect" or rule.pattern.matches_path(url)


def _denies(rule: Rule, asked: _Asked, url: RequestUrl) -> bool:
    if asked.request.verb == "connect":
        return rule.holds(asked.request.stage, asked.today)
    return (
        asked.request.verb in rule.verbs
        and rule.holds(asked.request.stage, asked.today)
        and rule.pattern.touches_path(url)
    )


def _read_as(url: RequestUrl) -> str:
    """What else servers may take the path for, so that a person sees why a rule matches or does not."""
    others = url.readings[1:]
    return f" (to some servers {' or '.join(others)})" if others else ""


def _because(rule: Rule) -> str:
    return f": {rule.reason}" if rule.reason else ""


def _near_miss(policy: Policy, asked: _Asked, url: RequestUrl) -> str:
    """Why the first rule whose URL does match is still not enough; empty if there is none."""
    for rule in chain.from_iterable(layer.allows.covering(url) for layer in policy.layers):
        if not _covers(rule, asked, url):
            continue
        absence = rule.absence(asked.request.stage, asked.today)
        if not _names_verb(rule, asked) and not rule.is_over(asked.today):
            absence = f"allows only {', '.join(rule.verbs)}"
        return f"; rule {rule.id!r} {absence}"
    return ""


def _rule_to_paste(asked: _Asked, url: RequestUrl) -> str:
    """The narrowest rule that would allow the request, or its scope, as TOML, with an id that is still free.

    Who connects to an http endpoint asks it something next, which is judged by itself, and is most often a read.
    """
    is_plain = asked.request.verb == "connect" and url.scheme == "http"
    verbs = ("connect", "read") if is_plain else (asked.request.verb,)
    pattern = f"{url.origin}/**" if asked.request.verb == "connect" else asked.request.scope or str(url)
    return "\n".join(
        (
            "[[policy.allow]]",
            f"id = {_quote(_free_id(asked.policy, url))}",
            f"url = {_quote(pattern)}",
            f"verbs = [{', '.join(map(_quote, verbs))}]",
            f"stages = [{_quote(asked.request.stage)}]",
            'reason = "why this endpoint is needed"',
        )
    )


def _free_id(policy: Policy, url: RequestUrl) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", f"{url.host}-{url.port}").strip("-")
    numbered = (f"{name}-{number}" for number in count(2))
    return name if name not in policy.ids else next(free for free in numbered if free not in policy.ids)


def _quote(text: str) -> str:
    """``text`` as a TOML basic string: JSON's, but for DEL, and for what is beyond the basic plane."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
