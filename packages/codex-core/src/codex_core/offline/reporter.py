"""The reporter: how a program inside a seal tells its keeper what was decided, and asks for the policy."""

from __future__ import annotations

import _thread
import os

TYPE_CHECKING = False  # importing typing costs as much as a sealed command's start; type checkers know the name
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from typing import Any

    from codex_core.policy import Decision, Policy

ADDRESS = "CODEX_KEEPER"
"""The environment variable that names the abstract socket (unix(7)) of the keeper."""
LEVEL = "CODEX_GUARD"
"""The environment variable that tells a program the level that it runs at."""
LONGEST_MESSAGE = 2**16
_EACH = 10
"""How often a refusal is told by itself."""


class Reporter:
    """Talks to the keeper at ``address``; a forked child makes a connection of its own."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._begin()

    def _begin(self) -> None:
        """Have no connection yet, nor anything that is still to be told."""
        self._connection: socket.socket | None = None
        self._pid = os.getpid()
        self._lock = _thread.allocate_lock()
        self._told: dict[Decision, list[int]] = {}
        """How often each refusal was told, and how often it was made since then."""

    def policy(self) -> tuple[str, Policy]:
        """The name of the stage that this program is, and the policy that judges it."""
        import json

        from codex_core.policy import Layer, Policy

        answer = self._ask({"get": "policy", "from": 0})
        text = answer["policy"]
        while len(text) < answer["size"]:  # it may be longer than a message can be
            text += self._ask({"get": "policy", "from": len(text)})["policy"]
        layers = (Layer.from_json(layer, origin=layer["origin"]) for layer in json.loads(text))
        return answer["stage"], Policy(tuple(layers))

    def record(self, decision: Decision) -> None:
        """Have ``decision`` recorded; LedgerUnavailable if it is not.

        The keeper is told of a refusal each of the first ten times, and from then on whenever its number has doubled:
        nothing goes out by it, and a program that asks again and again is not slowed down. ``flush`` tells the rest.
        """
        if decision.allowed:
            self.report(decision.to_json())
            return
        self._own()
        with self._lock:
            count = self._told.setdefault(decision, [0, 0])
            count[1] += 1
            told, times = count
            if told >= _EACH and times < told:
                return
            self._told[decision] = [told + times, 0]
        self.report(decision.to_json(), times=times)

    def flush(self) -> None:
        """Tell what was only counted until now. Quiet where the keeper has gone."""
        from codex_core.errors import LedgerUnavailable

        self._own()
        for decision, (told, times) in list(self._told.items()):
            if times:
                self._told[decision] = [told + times, 0]
                try:
                    self.report(decision.to_json(), times=times)
                except LedgerUnavailable:
                    return

    def report(self, body: Mapping[str, object], *, times: object = 1) -> None:
        """Have a Decision, given by its members, recorded as made so many times; LedgerUnavailable if it is not."""
        self._ask({"decision": dict(body), "times": times})

    def _ask(self, message: Mapping[str, object]) -> dict[str, Any]:  # Any: what the keeper answers
        import json

        from codex_core.errors import LedgerUnavailable

        self._own()
        try:
            with self._lock:
                connection = self._connected()
                connection.send(json.dumps(message).encode())
                answer: dict[str, Any] = json.loads(connection.recv(LONGEST_MESSAGE) or b"{}")
        except (OSError, ValueError) as error:
            raise LedgerUnavailable(
                f"the keeper that records decisions is not there: {error}",
                hint="nothing was recorded, so nothing goes out; start the command again",
            ) from error
        if "error" in answer or not answer:
            told = answer.get("error", {"message": "the keeper has ended", "hint": None})
            raise LedgerUnavailable(told["message"], hint=told.get("hint"))
        return answer

    def _connected(self) -> socket.socket:
        import socket

        if self._connection is None:
            self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._connection.connect(f"\0{self._address}")
        return self._connection

    def _own(self) -> None:
        """Let go, in a forked child, of what is its parent's."""
        if self._pid != os.getpid():
            self._begin()
