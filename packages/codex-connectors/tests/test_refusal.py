"""The offline adapter: refusals, without a network."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from codex_connectors.refusal import Judge, RemoteStore, request_url
from codex_core.errors import ConfigError, ConnectorMissing, KeyRefused, PluginError, PolicyRefused
from codex_core.policy import Decision, Layer, Policy, Rule, Verb
from codex_core.storage import Connector, StoreConfig

NOW = datetime(2027, 1, 1, tzinfo=UTC)
MODELS = StoreConfig("models", "s3://models/team a", "https://minio.corp:9000/")
CLIENT = """
import sys
assert "asyncio" not in sys.modules
class Client:
    contract = 1
    def __init__(self, config): self.config = config
    async def stat(self, key): return (self.config.name, key)
    async def scan(self, prefix=""): yield prefix
    async def read(self, key, *, start=0, end=None): yield key.encode()
    async def write(self, key, chunks, *, if_absent=False): return key
    async def delete(self, key): return None
"""


def remote(config: StoreConfig, *rules: Rule) -> tuple[RemoteStore, list[Decision]]:
    decisions: list[Decision] = []
    judge = Judge(Policy((Layer("test", rules),)), "corpus", lambda: NOW, decisions.append)
    return RemoteStore(config, judge), decisions


def calls(store: RemoteStore, chunks: AsyncIterator[bytes]) -> dict[str, Callable[[], object]]:
    return {
        "stat": lambda: store.stat("k"),
        "scan": lambda: store.scan("k"),
        "read": lambda: store.read("k"),
        "write": lambda: store.write("k", chunks),
        "delete": lambda: store.delete("k"),
    }


def test_it_is_a_connector() -> None:
    assert isinstance(remote(MODELS)[0], Connector)
    assert RemoteStore.contract == 1


@pytest.mark.parametrize(
    ("name", "verb"), [("stat", "read"), ("scan", "list"), ("read", "read"), ("write", "write"), ("delete", "delete")]
)
def test_each_verb_is_refused_by_the_call_itself_and_recorded(
    name: str, verb: str, chunks: Callable[..., AsyncIterator[bytes]]
) -> None:
    store, decisions = remote(MODELS)
    with pytest.raises(PolicyRefused) as caught:
        calls(store, chunks(b"x"))[name]()
    assert decisions == [caught.value.decision]
    assert (decisions[0].verb, decisions[0].stage, decisions[0].rule) == (verb, "corpus", None)
    assert decisions[0].url == "https://minio.corp:9000/models/team%20a/k"
    assert caught.value.exit_code == 77


def test_the_remedy_is_a_rule_that_allows_just_this_request() -> None:
    store, decisions = remote(MODELS)
    with pytest.raises(PolicyRefused) as caught:
        store.read("a/b")
    (rule,) = tomllib.loads(str(caught.value.hint))["policy"]["allow"]
    pasted = Rule(rule["id"], rule["url"], tuple(rule["verbs"]), tuple(rule["stages"]))
    allowing, decisions = remote(MODELS, pasted)
    with pytest.raises(ConnectorMissing):
        allowing.read("a/b")
    with pytest.raises(PolicyRefused):
        allowing.read("a/c")
    with pytest.raises(PolicyRefused):
        allowing.scan("a/b")
    assert [one.verdict for one in decisions] == ["allow", "refuse", "refuse"]


@pytest.mark.parametrize(
    ("config", "key", "url"),
    [
        (StoreConfig("s", "s3://b", "https://h:9"), "", "https://h:9/b/"),
        (StoreConfig("s", "s3://b/p/", "https://h:9/base/"), "a/b", "https://h:9/base/b/p/a/b"),
        (StoreConfig("s", "azure://c", "https://h"), "k", "https://h/c/k"),
        (StoreConfig("s", "https://h/p"), "k", "https://h/p/k"),
        (StoreConfig("s", "http://h/p/"), "", "http://h/p/"),
        (StoreConfig("s", "https://h"), "a b?c#d%e*é", "https://h/a%20b%3Fc%23d%25e%2A%C3%A9"),
    ],
)
def test_a_request_is_judged_as_endpoint_bucket_and_key(config: StoreConfig, key: str, url: str) -> None:
    assert request_url(config, key) == url


def test_a_rule_for_all_of_a_bucket_covers_its_listing_and_its_objects() -> None:
    verbs: tuple[Verb, ...] = ("read", "list")
    store, decisions = remote(StoreConfig("m", "s3://m", "https://h:9"), Rule("m", "https://h:9/m/**", verbs))
    for call in (store.scan, lambda: store.scan("a"), lambda: store.read("a/b")):
        with pytest.raises(ConnectorMissing):
            call()
    assert [one.rule for one in decisions] == ["m", "m", "m"]


def test_a_key_cannot_climb_out_of_what_a_rule_allows() -> None:
    store, decisions = remote(StoreConfig("m", "https://h/m"), Rule("m", "https://h:443/m/**", ("read",)))
    with pytest.raises(KeyRefused):
        store.read("../secret")
    with pytest.raises(PolicyRefused, match="hides a dot segment"):
        store.read("..%2fsecret/..;/x\\..\\y")
    assert [one.verdict for one in decisions] == ["refuse"]


def test_what_is_allowed_says_that_there_is_no_client_and_what_to_do() -> None:
    store, decisions = remote(StoreConfig("m", "s3://m", "https://h:9"), Rule("m", "https://h:9/**", ("read",)))
    with pytest.raises(ConnectorMissing, match="no installed package has a client for s3, so store 'm'") as caught:
        store.read("k")
    assert caught.value.hint == "use a fallback of the store, or copy the objects into a file store"
    assert [one.verdict for one in decisions] == ["allow"]


def test_a_store_without_its_endpoint_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="has no endpoint"):
        remote(StoreConfig("m", "s3://m"))[0].scan()


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with a client for s3, on sys.path."""
    info = tmp_path / "codex_test_client-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: codex-test-client\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[codex.connectors]\ns3 = codex_test_client:Client\n")
    (tmp_path / "codex_test_client.py").write_text(CLIENT.replace('assert "asyncio" not in sys.modules\n', ""))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "codex_test_client", raising=False)
    return tmp_path


def test_an_installed_client_gets_what_is_allowed_and_only_that(installed: Path) -> None:
    store, decisions = remote(StoreConfig("m", "s3://m", "https://h:9"), Rule("m", "https://h:9/**", ("read",)))
    assert asyncio.run(store.stat("k")) == ("m", "k")  # type: ignore[comparison-overlap]  # the test's client answers so

    async def read() -> list[bytes]:
        return [chunk async for chunk in store.read("k")]

    assert asyncio.run(read()) == [b"k"]
    with pytest.raises(PolicyRefused):
        asyncio.run(store.delete("k"))
    assert [one.verdict for one in decisions] == ["allow", "allow", "refuse"]


def test_a_broken_client_is_named(installed: Path) -> None:
    (installed / "codex_test_client.py").write_text("class Client:\n    contract = 7\n")
    store, _ = remote(StoreConfig("m", "s3://m", "https://h:9"), Rule("m", "https://h:9/**", ("read",)))
    with pytest.raises(PluginError, match=r"codex-test-client 1\.0"):
        store.read("k")


REFUSED = """
import sys
from codex_connectors import open_store
from codex_connectors.stages import pull
from codex_core.errors import PolicyRefused
store = open_store("s3://models", endpoint="https://minio.corp:9000")
calls = [lambda: store.stat("k"), lambda: store.scan(), lambda: store.read("k"), lambda: store.delete("k"),
         lambda: store.write("k", [b"x"]), lambda: store.write("k", b"x")]
for call in calls:
    try: call()
    except PolicyRefused: print("refused")
"""


def cannot(reason: str) -> NoReturn:
    """Skip what this machine cannot do; where CI is set, fail, because there it must be proved."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def socket_calls(command: list[str], folder: Path) -> tuple[str, list[str], int]:
    if shutil.which("strace") is None:
        cannot("strace is not installed")
    trace = folder / "trace"
    strace = ["strace", "-f", "-q", "-e", "trace=network", "-e", "signal=none", "-o", str(trace)]
    done = subprocess.run([*strace, *command], cwd=folder, capture_output=True, text=True, check=False)
    if not trace.exists():
        cannot(f"strace does not work here: {done.stderr}")
    return done.stdout, [line for line in trace.read_text().splitlines() if "+++" not in line], done.returncode


def test_a_proof_that_cannot_be_had_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="strace is not installed"):
        socket_calls([sys.executable], tmp_path)


def test_a_refusal_makes_no_socket_and_no_look_up(tmp_path: Path) -> None:
    out, made, code = socket_calls([sys.executable, "-c", REFUSED], tmp_path)
    assert (code, out, made) == (0, "refused\n" * 6, [])


def test_the_command_line_makes_no_socket_when_it_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("codex_cli")
    (tmp_path / "codex.toml").write_text(
        '[pipeline]\nname = "x"\n[stores.models]\nurl = "s3://models"\nendpoint = "https://minio.corp:9000"\n'
    )
    for words in ("ls store://models", "stat store://models/k", "get store://models/k out", "fallbacks store://models"):
        _, made, code = socket_calls([sys.executable, "-m", "codex_cli", "store", *words.split()], tmp_path)
        assert (code, made) == (0 if words.startswith("fallbacks") else 77, [])
