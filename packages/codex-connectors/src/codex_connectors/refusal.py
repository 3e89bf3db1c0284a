"""The offline adapter: every remote store asks the policy here, and nothing is opened or looked up before it answers.

A request is judged as ENDPOINT/BUCKET/KEY, or URL/KEY for an ``https`` store. What the policy refuses ends here, with
its Decision. What it allows goes to the connector plug-in of the scheme, where one is installed: an entry point of
``codex.connectors`` with the scheme's name, a Connector class that is made from a StoreConfig.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from codex_core.errors import ConfigError, ConnectorMissing, PolicyRefused
from codex_core.policy import CONNECTOR, Request, decide
from codex_core.storage import check_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
    from datetime import datetime
    from typing import Any

    from codex_core.policy import Decision, Policy, Verb
    from codex_core.storage import Connector, ObjectInfo, StoreConfig


@dataclass(frozen=True)
class Judge:
    """Asks the policy on behalf of one stage; ``record`` gets every Decision, before anything happens."""

    policy: Policy
    stage: str
    now: Callable[[], datetime]
    record: Callable[[Decision], None]

    def require(self, verb: Verb, url: str) -> None:
        """PolicyRefused unless the policy allows this request."""
        decision = decide(self.policy, Request(verb, url, self.stage, CONNECTOR), now=self.now())
        self.record(decision)
        if not decision.allowed:
            raise PolicyRefused(decision)


class RemoteStore:
    """A store behind a network, as a Connector.

    A refusal is raised by the call itself, not when its result is awaited: so that no event loop, which has sockets of
    its own, need be started to be refused.
    """

    contract: ClassVar[int] = 1

    def __init__(self, config: StoreConfig, judge: Judge) -> None:
        self._config, self._judge = config, judge

    def stat(
        self, key: str
    ) -> Coroutine[Any, Any, ObjectInfo]:  # Any: what the event loop sends, which is its own affair
        """The object's info, by the verb ``read``."""
        return self._allowed("read", check_key(key)).stat(key)

    def scan(self, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """The objects at and below ``prefix``, by the verb ``list``."""
        return self._allowed("list", check_key(prefix) if prefix else "").scan(prefix)

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The object's bytes, by the verb ``read``."""
        return self._allowed("read", check_key(key)).read(key, start=start, end=end)

    def write(
        self, key: str, chunks: AsyncIterable[bytes], *, if_absent: bool = False
    ) -> Coroutine[Any, Any, ObjectInfo]:  # Any: as for stat
        """Store ``chunks``, by the verb ``write``."""
        return self._allowed("write", check_key(key)).write(key, chunks, if_absent=if_absent)

    def delete(self, key: str) -> Coroutine[Any, Any, None]:  # Any: as for stat
        """Remove the object, by the verb ``delete``."""
        return self._allowed("delete", check_key(key)).delete(key)

    def _allowed(self, verb: Verb, key: str) -> Connector:
        """The client, once the policy has allowed the request."""
        self._judge.require(verb, request_url(self._config, key))
        return self._client

    @cached_property
    def _client(self) -> Connector:
        scheme = self._config.url.partition(":")[0]
        if not has_client(scheme):
            raise no_client(self._config)
        from codex_core.registry import Registry

        client = Registry("codex.connectors").load(scheme)
        return client(self._config)  # type: ignore[call-arg]  # the protocol cannot say that a class takes a StoreConfig


def request_url(config: StoreConfig, key: str) -> str:
    """The URL that the policy judges for ``key``; ConfigError if the store needs an endpoint and has none.

    All of a store is its root with a slash at the end, so that a rule for ``ROOT/**`` covers it.
    """
    from urllib.parse import quote

    return f"{_root_url(config).rstrip('/')}/{quote(key)}"


def has_client(scheme: str) -> bool:
    """Whether a connector plug-in speaks ``scheme``."""
    from codex_core.registry import Registry

    return scheme in Registry("codex.connectors").names()


def no_client(config: StoreConfig) -> ConnectorMissing:
    """The error for a request that is allowed and that nobody here can make."""
    scheme = config.url.partition(":")[0]
    message = (
        f"no installed package has a client for {scheme}, so store {config.name!r} ({config.url}) cannot be reached"
    )
    return ConnectorMissing(message, hint="use a fallback of the store, or copy the objects into a file store")


def _root_url(config: StoreConfig) -> str:
    from urllib.parse import quote

    scheme, _, rest = config.url.partition("://")
    if scheme in {"http", "https"}:
        return config.url
    if config.endpoint is None:
        hint = 'name the store in codex.toml, with endpoint = "https://HOST:PORT"'
        raise ConfigError(f"the store {config.url} has no endpoint", hint=hint)
    return f"{config.endpoint.rstrip('/')}/{quote(rest)}"
