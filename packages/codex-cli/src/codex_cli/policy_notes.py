"""What a person should know beside what the policy says: where its answer is not what a program would get."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from codex_core.errors import UrlError
from codex_core.offline.doors import has_door
from codex_core.policy import CLI, OWN_STAGES, decide, is_misspelt
from codex_core.urls import parse_url, respelled
from codex_core.wording import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from codex_core.policy import Decision, Policy, Request


def note_answer(
    policy: Policy, request: Request, decision: Decision, stages: Sequence[str], now: datetime
) -> list[str]:
    """What is to be added to ``decision``, the answer to ``request``; ``stages`` are those of the pipeline file."""
    notes = []
    if is_misspelt(request.stage, stages):
        notes.append(f"there is no stage {request.stage!r} here; {nearest(request.stage, [*stages, *OWN_STAGES])}")
    notes += note_stages(policy, stages)
    try:
        url = parse_url(request.url)
    except UrlError:
        return notes
    fault = respelled(url, request.url)
    if fault is not None and decision.allowed:
        notes.append(f"the proxy in a seal does not take this spelling: {fault}; a program asks for {url}")
    address = url.address
    if decision.allowed and request.stage != CLI and address is not None and address.is_loopback:
        today = now.astimezone(UTC).date()
        if not has_door(policy, request.stage, today, url):
            notes.append(
                "no program gets there: loopback is not asked of the proxy, and a door takes a rule that names"
                f" {url.host} itself"
            )
    if request.verb != "connect" and request.stage != CLI and url.scheme == "https":
        tunnel = decide(policy, replace(request, verb="connect"), now=now)
        if tunnel.allowed and not decision.allowed:
            notes.append(
                f"a program gets there all the same: rule {tunnel.rule!r} grants it a tunnel to {url.origin}, which"
                " hides verb and path"
            )
        if not tunnel.allowed:
            notes.append(
                f"only the stages of codex-connectors check a {request.verb} over https themselves; any other program"
                " hides it in TLS, and needs a rule with the verb connect: codex policy explain"
                f" {url.origin}/ --verb connect --stage {request.stage}"
            )
    return notes


def note_stages(policy: Policy, stages: Sequence[str]) -> Iterator[str]:
    """The rules of policy files that are for a stage which is not here, and is most likely misspelt.

    A policy file may judge in many projects. So without a pipeline file only what is like a name of Codex is one.
    """
    for rule in (rule for layer in policy.layers for rule in (*layer.deny, *layer.allow)):
        for name in rule.stages or ():
            if is_misspelt(name, stages):
                meant = did_you_mean(name, [*stages, *OWN_STAGES])
                yield f"rule {rule.id!r} is for the stage {name!r}, which is not here" + (f"; {meant}" if meant else "")
