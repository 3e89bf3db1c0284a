"""The recorder: the keeper's ear for what is said inside a seal, which it writes into the ledger as reported.

What comes from inside is a claim: a program may report what it likes. What the ledger cannot take ends the program.
"""

from __future__ import annotations

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from codex_core.errors import CodexError
    from codex_core.ledger import Ledger
    from codex_core.policy import Decision, Policy


class Recorder:
    """Answers the messages of one program.

    ``policy`` reads the policy when it is first asked for; ``append`` puts a Decision into the ledger, and raises
    LedgerUnavailable if it cannot. ``decisions`` are those that were recorded, each once; ``refused`` counts the
    refusals, ``last_refusal`` is the last of them. ``fault`` is there once something could not be recorded.
    """

    def __init__(
        self, stage: str, policy: Callable[[], Policy], append: Callable[[Mapping[str, object]], None]
    ) -> None:
        self.stage = stage
        self.decisions: dict[Decision, None] = {}
        self.refused = 0
        self.last_refusal: Decision | None = None
        self.fault: CodexError | None = None
        self._policy, self._append = policy, append

    def answer(self, message: bytes) -> bytes:
        """The answer to one message, both JSON objects: ``get`` asks for the policy, ``decision`` is to be recorded."""
        import json

        from codex_core.errors import CodexError

        try:
            data = json.loads(message)
            return json.dumps(self._policy_answer() if "get" in data else self._record(data["decision"])).encode()
        except CodexError as error:
            return json.dumps({"error": error.problems[0].to_json()}).encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return b'{"error": {"code": "usage.invalid", "message": "this is no message that the keeper knows"}}'

    def _policy_answer(self) -> dict[str, object]:
        layers = [{**layer.to_json(), "origin": layer.origin} for layer in self._policy().layers]
        return {"stage": self.stage, "policy": layers}

    def _record(self, body: Mapping[str, Any]) -> dict[str, object]:  # Any: members of a Decision, checked here
        from codex_core.errors import LedgerUnavailable
        from codex_core.members import from_members
        from codex_core.policy import Decision

        decision = from_members(Decision, body)
        try:
            self._append(decision.to_json())
        except LedgerUnavailable as error:
            self.fault = error
            raise
        self.decisions[decision] = None
        if not decision.allowed:
            self.refused += 1
            self.last_refusal = decision
        return {"recorded": True}


def to_ledger(path: str) -> Callable[[Mapping[str, object]], None]:
    """Appends to the ledger at ``path``, a refusal synced; or, inside another seal, hands on to that one's keeper."""
    import os

    from codex_core.offline.reporter import ADDRESS, Reporter

    outer = os.environ.get(ADDRESS)
    reporter = Reporter(outer) if outer else None
    opened: list[Ledger] = []

    def append(body: Mapping[str, object]) -> None:
        from datetime import UTC, datetime

        from codex_core.ledger import Ledger

        if reporter is not None:
            reporter.report(body)
            return
        if not opened:
            opened.append(Ledger(path))
        refused = body["verdict"] == "refuse"
        opened[0].append("decision", {**body, "reported": True}, at=datetime.now(UTC), sync=refused)

    return append
