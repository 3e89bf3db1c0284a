"""A Decision for a person: what the policy answers, why, and what would change it."""

from __future__ import annotations

TYPE_CHECKING = False  # the front door uses this module, and importing typing costs as much as all of it
if TYPE_CHECKING:
    from codex_core.policy import Decision

RULE_TABLE = "[[policy."


def describe_decision(decision: Decision) -> str:
    """The verdict and its reason, and below a refusal its remedy."""
    lines = [f"{'allowed' if decision.allowed else 'refused'}: {decision.reason}"]
    if decision.remedy:
        lines.append(remedy_text(decision.remedy))
    return "\n".join(lines)


def remedy_text(remedy: str) -> str:
    """A Decision's remedy; a rule is shown so that it can be pasted."""
    return f"this rule in codex.toml would allow it:\n\n{remedy}\n" if remedy.startswith(RULE_TABLE) else remedy
