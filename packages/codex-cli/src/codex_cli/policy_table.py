"""A policy for a person: every rule with its layer, in the order in which they judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from codex_core.policy import Policy, Rule

_HEADINGS = ("effect", "rule", "url", "verbs", "stages", "expires", "from")


@dataclass(frozen=True)
class ShownRule:
    """One rule and where it is from; a ``locked`` layer must allow what any other allows."""

    effect: Literal["allow", "deny"]
    rule: Rule
    origin: str
    locked: bool

    def to_json(self) -> dict[str, object]:
        """The object that ``rules`` of ``policy show`` holds."""
        return {"effect": self.effect, **self.rule.to_json(), "origin": self.origin, "locked": self.locked}

    def cells(self, today: date) -> tuple[str, ...]:
        """The row of the table."""
        expires = "-" if self.rule.expires is None else self.rule.expires.isoformat()
        if self.rule.is_over(today):
            expires += " (over)"
        stages = ", ".join(self.rule.stages) if self.rule.stages else "all"
        origin = f"{self.origin} (locked)" if self.locked else self.origin
        return self.effect, self.rule.id, self.rule.url, ", ".join(self.rule.verbs), stages, expires, origin


def shown_rules(policy: Policy) -> list[ShownRule]:
    """The rules of every layer, its denies first."""
    return list(_shown(policy))


def _shown(policy: Policy) -> Iterator[ShownRule]:
    for layer in policy.layers:
        yield from (ShownRule("deny", rule, layer.origin, layer.locked) for rule in layer.deny)
        yield from (ShownRule("allow", rule, layer.origin, layer.locked) for rule in layer.allow)


def describe_policy(policy: Policy, *, today: date) -> str:
    """The rules as a table, below them the layers that have none, and what is not allowed."""
    rules = shown_rules(policy)
    lines = [_line(row, rows) for rows in [[_HEADINGS, *(rule.cells(today) for rule in rules)]] for row in rows]
    empty = [layer for layer in policy.layers if not layer.allow and not layer.deny]
    told = [
        f"{layer.origin} has no rules" + (", and is locked: nothing is allowed" if layer.locked else "")
        for layer in empty
    ]
    head = lines if rules else []
    return "\n".join([*head, *told, "" if head or told else "there is no policy file", _closing(policy)]).strip()


def _closing(policy: Policy) -> str:
    if any(layer.locked for layer in policy.layers):
        return "a request goes out if an allow matches it, no deny does, and each locked file allows it too"
    return "a request goes out if an allow matches it and no deny does; everything else is refused"


def _line(row: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
