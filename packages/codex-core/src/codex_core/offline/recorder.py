"""The recorder: the keeper's ear for what is said inside a seal, which it writes into the ledger as reported.

What comes from inside is a claim: a program may report what it likes. What the ledger cannot take ends the program.
"""

from __future__ import annotations

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Any

    from codex_core.errors import CodexError
    from codex_core.ledger import Ledger
    from codex_core.offline.doors import Unopened
    from codex_core.policy import Decision, Policy


class Recorder:
    """Answers the messages of one program.

    ``policy`` reads the policy when it is first asked for; ``append`` puts an entry of a kind into the ledger, and
    raises LedgerUnavailable if it cannot. ``decisions`` are those that were recorded, each once; ``refused`` counts
    the refusals, ``last_refusal`` is the last of them. ``names`` were looked up in vain, each with how many questions
    there were for it. ``unreached`` says why the last of what was allowed could not be reached, and ``vain``, at
    the end, what was tried where nobody could be met. ``fault`` is there once something could not be recorded;
    ``broker_lost`` says that the way out was closed before the program's end.
    """

    def __init__(
        self,
        stage: str,
        policy: Callable[[], Policy],
        append: Callable[[str, Mapping[str, object]], None],
        unopened: Unopened | None = None,
    ) -> None:
        self.stage, self.policy = stage, policy
        self.decisions: dict[Decision, None] = {}
        self.refused = 0
        self.last_refusal: Decision | None = None
        self.fault: CodexError | None = None
        self.broker_lost = False
        self.names: dict[str, int] = {}
        self.unreached: str | None = None
        self.vain: str | None = None
        self._unopened = unopened
        self._append = append
        self._counts: dict[tuple[Decision, bool], _Count] = {}
        self._left = {True: _MOST_DECISIONS, False: _MOST_DECISIONS}
        self._room = {True: _MOST_TEXT, False: _MOST_TEXT}
        self._uncounted = {True: 0, False: 0}
        """Further Decisions, those that are claims and the others."""
        self._policy_text = ""
        self._grants: dict[tuple[str, ...], dict[str, int]] = {}

    def answer(self, message: bytes) -> bytes:
        """The answer to one message, both JSON objects: ``get`` asks for the policy, ``decision`` is to be recorded."""
        import json

        from codex_core.errors import CodexError

        try:
            data = json.loads(message)
            answer = self._policy_answer(data["from"]) if "get" in data else self._record(data)
            return json.dumps(answer).encode()
        except CodexError as error:
            return json.dumps({"error": error.problems[0].to_json()}).encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return b'{"error": {"code": "usage.invalid", "message": "this is no message that the keeper knows"}}'

    def _policy_answer(self, start: int) -> dict[str, object]:
        """The stage, a part of the policy's JSON that begins at ``start``, and the length of the whole."""
        import json

        if not self._policy_text:
            layers = [{**layer.to_json(), "origin": layer.origin} for layer in self.policy().layers]
            self._policy_text = json.dumps(layers)
        return {"stage": self.stage, "policy": self._policy_text[start : start + _PAGE], "size": len(self._policy_text)}

    def answer_broker(self, message: bytes, pins: dict[str, list[str]]) -> bytes | None:
        """The answer to one message of the broker, which is believed; None where it waits for none.

        ``pins`` are the names looked up in this run.
        """
        import json

        from codex_core.errors import CodexError
        from codex_core.policy import Decision

        try:
            data = json.loads(message)
        except ValueError:  # it was cut: then nothing is recorded, and nothing goes out
            return b"false"
        if "pinned" in data:
            return json.dumps(pins.get(data["pinned"])).encode()
        if "pin" in data:
            return json.dumps(pins.setdefault(data["pin"], data["addresses"])).encode()
        if "moved" in data:
            self._count(data)
            return None
        if "unreached" in data:
            self.unreached = data["unreached"]
            return None
        try:
            decision = Decision.from_json(data.get("refused") or data["granted"])
            self._keep(decision, reported=False, lasting=data.get("lasting", True))
        except CodexError:
            return b"false"
        return b"true"

    def answer_question(self, question: bytes) -> bytes | None:
        """The answer to a look-up inside, that there is no such name; None to what is none."""
        from codex_core.offline.names import answer

        found = answer(question)
        if found is None:
            return None
        name, said = found
        if not name.endswith(_REVERSE) and (name in self.names or len(self.names) < _MOST_NAMES):
            self.names[name] = self.names.get(name, 0) + 1
        return said

    def conclude(self, attempts: int | None = None, unanswered: int | None = None) -> None:
        """The program has ended: what was counted goes into the ledger, with what its network saw.

        ``attempts`` and ``unanswered`` are those of an Observation.
        """
        if attempts or unanswered:
            self.vain = self._describe_vain(attempts or 0, unanswered or 0)
        if not self._counts and not self._grants and not self.names and not attempts and not unanswered:
            return  # as most programs: nothing is imported at their end
        from codex_core.errors import LedgerUnavailable

        try:
            for (decision, reported), count in self._counts.items():
                if count.made > count.written:
                    counted = {"times": count.made - count.written, **_claim(reported)}
                    self._write("repeated", {**decision.to_json(), **counted})
            for reported, times in self._uncounted.items():
                if times:
                    self._write("more", {"stage": self.stage, "times": times, **_claim(reported)})
            for (rule, origin, verb), counts in self._grants.items():
                named = {"stage": self.stage, "rule": rule, "origin": origin, "verb": verb}
                self._write("grant", {**named, **counts, "policy": self.policy().digest})
            for name, times in self.names.items():
                self._write("lookup", {"stage": self.stage, "name": name, "times": times})
            if attempts:
                self._write("unrouted", {"stage": self.stage, "times": attempts})
            places = self._unopened.of_host[:_MOST_PLACES] if self._unopened else ()
            if unanswered and (places or self.broker_lost):
                of = [dict(vars(place)) for place in places]
                self._write("unanswered", {"stage": self.stage, "times": unanswered, "of": of})
        except LedgerUnavailable:
            return  # it is noted as the fault

    def _describe_vain(self, attempts: int, unanswered: int) -> str | None:
        told = self._unopened.describe(attempts=attempts, unanswered=unanswered) if self._unopened else None
        if told or not unanswered:
            return told
        from codex_core.offline.attestation import describe_knocks

        return f"{describe_knocks(unanswered)}, which is not the host's: to that only a rule for it leads"

    def lose_broker(self) -> None:
        """The broker has ended before the program: from now on everything is refused, without a word of its own."""
        from codex_core.errors import LedgerUnavailable

        self.broker_lost = True
        try:
            self._write("broker_ended", {"stage": self.stage})
        except LedgerUnavailable:
            return  # it is noted as the fault

    def _record(self, data: Mapping[str, Any]) -> dict[str, object]:  # Any: what the program says, checked here
        from codex_core.members import from_members
        from codex_core.policy import Decision

        decision, times = from_members(Decision, data["decision"]), data.get("times", 1)
        texts = (decision.reason, decision.url, decision.stage, decision.rule or "", decision.policy)
        lines = (decision.remedy or "").split("\n")
        if not all(map(str.isprintable, (*texts, *lines))):  # they would steer the terminal that shows them
            raise ValueError("a Decision is one line, and its remedy a few")
        decision = self._with_own_remedy(decision)
        if type(times) is not int or not 0 < times < _MOST_AT_ONCE:
            raise ValueError("a Decision is made some times")
        self._keep(decision, reported=True, lasting=True, times=times)
        return {"recorded": True}

    def _with_own_remedy(self, decision: Decision) -> Decision:
        """A claim whose remedy is no rule, or the one that the policy itself gives: others would seem to be ours."""
        from dataclasses import replace
        from datetime import UTC, datetime

        from codex_core.policy import Request, decide

        if "[[policy" not in (decision.remedy or ""):
            return decision
        request = Request(decision.verb, decision.url, decision.stage)
        own = decide(self.policy(), request, now=datetime.now(UTC)).remedy
        return decision if decision.remedy == own else replace(decision, remedy=None)

    def _keep(self, decision: Decision, *, reported: bool, lasting: bool, times: int = 1) -> None:
        """Write a Decision down, each of the first few times that it is made, and count it from then on.

        One that is ``lasting`` would be the same whenever the policy is asked again.
        """
        if not decision.allowed:
            self.refused += times
            self.last_refusal = decision
        count = self._counts.get((decision, reported)) or self._begin_count(decision, reported=reported)
        if count is None:
            self._uncounted[reported] = min(self._uncounted[reported] + times, _MOST_TIMES)
            return
        if count.written < _EACH:
            self._write("decision", {**decision.to_json(), **_claim(reported)})
            count.written += 1
        count.made = min(count.made + times, _MOST_TIMES)
        if lasting:
            self.decisions[decision] = None

    def _begin_count(self, decision: Decision, *, reported: bool) -> _Count | None:
        """A new count for ``decision``; None where there is no room: neither memory nor disk is there for all claims.

        Claims leave the broker's facts their room, and what it has granted is never left out.
        """
        size = sum(map(len, (decision.reason, decision.url, decision.remedy or "")))
        fact = not reported and decision.allowed
        if not fact and (self._left[reported] <= 0 or self._room[reported] < size):
            return None
        self._left[reported] -= 1
        self._room[reported] -= size
        count = self._counts[decision, reported] = _Count()
        return count

    def _count(self, data: Mapping[str, Any]) -> None:  # Any: what the broker says
        counts = self._grants.setdefault(tuple(data["moved"]), {"connections": 0, "sent": 0, "received": 0})
        counts["connections"] += 1
        counts["sent"] += data["sent"]
        counts["received"] += data["received"]

    def _write(self, kind: str, body: Mapping[str, object]) -> None:
        from codex_core.errors import LedgerUnavailable

        try:
            self._append(kind, body)
        except LedgerUnavailable as error:
            self.fault = error
            raise


class _Count:
    """How often a Decision was made, and how often that was written down."""

    __slots__ = ("made", "written")

    def __init__(self) -> None:
        self.made = self.written = 0


def _claim(reported: bool) -> dict[str, bool]:
    return {"reported": True} if reported else {}


_PAGE = 16384
"""Characters of the policy's JSON in one message, in which each may become two."""
_REVERSE = ".arpa"
"""What the names end with that ask who has an address: nobody goes anywhere by them."""
_MOST_DECISIONS = 4096
"""How many different claims, and as many refusals of the broker, of one program are written down each."""
_MOST_TEXT = 2**23
"""How many characters these may have together; further ones are counted."""
_MOST_TIMES = 2**53 - 1
"""The largest number that JSON holds everywhere."""
_MOST_AT_ONCE = 1_000_000_000
_MOST_NAMES = 256
"""How many names of one program are written down."""
_MOST_PLACES = 16
"""How many places that no door leads to are written down."""
_EACH = 10
"""How often the same Decision is written down before it is only counted."""


_OF_DECISIONS = ("decision", "repeated")
"""The kinds of entries that are Decisions, which an outer keeper counts itself."""


def to_ledger(path: str, *, known: os.stat_result | None = None) -> Callable[[str, Mapping[str, object]], None]:
    """Appends to the ledger at ``path``, a refusal synced; or, inside another seal, hands Decisions to that keeper.

    With ``known`` it is LedgerUnavailable if another file lies there now.
    """
    import os

    def check() -> None:
        if known is None:
            return
        try:
            replaced = not os.path.samestat(os.stat(path), known)
        except OSError:
            replaced = True
        if replaced:
            from codex_core.errors import LedgerUnavailable

            raise LedgerUnavailable(
                f"{path} was replaced while this ran", hint="a program, or a plug-in that the run loads, has done that"
            )

    from codex_core.offline.reporter import ADDRESS, Reporter

    outer = os.environ.get(ADDRESS)
    reporter = Reporter(outer) if outer else None
    opened: list[Ledger] = []

    def append(kind: str, body: Mapping[str, object]) -> None:
        from datetime import UTC, datetime

        from codex_core.ledger import Ledger

        if reporter is not None and kind in _OF_DECISIONS:
            members = {name: value for name, value in body.items() if name not in {"reported", "times"}}
            reporter.report(members, times=body.get("times", 1))
        if reporter is not None:
            return
        if not opened:
            opened.append(Ledger(path))
        check()
        opened[0].append(kind, body, at=datetime.now(UTC), sync=body.get("verdict") != "allow")
        check()

    return append
