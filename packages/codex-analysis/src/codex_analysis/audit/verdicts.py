"""Verdicts: whether an empty or unimplemented function is a stub, a contract that others fill in, or a no-op."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from codex_analysis.audit.contracts import UNRUN, abstract_hook, contract

if TYPE_CHECKING:
    from codex_analysis.audit.findings import Verdict
    from codex_analysis.audit.no_ops import NoOps
    from codex_analysis.audit.outline import Function, Raise


class Judgement(NamedTuple):
    """A verdict and the reason for it."""

    verdict: Verdict
    why: str


def judge_empty(function: Function, no_ops: NoOps) -> Judgement:
    """The verdict on a function whose body does nothing."""
    if (why := contract(function)) is not None:
        return Judgement("contract", why)
    if (why := no_ops.reason(function)) is not None:
        return Judgement("no-op", why)
    return Judgement("stub", "nothing says that it is meant to do nothing")


def judge_raise(item: Raise) -> Judgement:
    """The verdict on a raise of NotImplementedError."""
    if item.unrun:
        return Judgement("contract", UNRUN)
    if item.function is not None and (why := contract(item.function) or abstract_hook(item.function)) is not None:
        return Judgement("contract", why)
    return Judgement("stub", "nothing says that others are to implement it")
