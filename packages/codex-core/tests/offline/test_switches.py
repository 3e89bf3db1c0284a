"""Promises of codex_core.offline.switches: what a sealed program inherits, what it does not, and what is set for it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import codex_core
from codex_core.offline.switches import SWITCHES, WAYS_OUT, Switch, offline_environment, set_switches

if TYPE_CHECKING:
    from collections.abc import Iterable

SWITCHED = {switch.name: switch.value for switch in SWITCHES}
ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/reference/offline-switches.md"

CERTIFICATES = (
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "CARGO_HTTP_PROXY_CAINFO",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
    "npm_config_cafile",
)
OTHERS = (
    "AWS_ACCESS_KEY_ID",
    "CODEX_SEED",
    "HF_TOKEN",
    "HOME",
    "KUBECONFIG",
    "LANG",
    "NODE_USE_ENV_PROXY",
    "PATH",
    "PIP_FIND_LINKS",
    "PYTHONPATH",
    "TERM",
    "TMPDIR",
    "https_proxy_user",
)
PROXIES = (
    "ALL_PROXY",
    "CARGO_HTTP_PROXY",
    "CLOUDSDK_PROXY_ADDRESS",
    "CLOUDSDK_PROXY_PASSWORD",
    "CLOUDSDK_PROXY_PORT",
    "FTP_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "Http_Proxy",
    "NO_PROXY",
    "NPM_CONFIG_HTTPS_PROXY",
    "PIP_PROXY",
    "RSYNC_PROXY",
    "UV_HTTPS_PROXY",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "npm_config_https-proxy",
    "npm_config_https_proxy",
    "npm_config_noproxy",
    "npm_config_proxy",
    "socks_proxy",
)
TOOLS = {
    ".NET": "DOTNET_CLI_TELEMETRY_OPTOUT",
    "AWS": "AWS_EC2_METADATA_DISABLED",
    "Anaconda": "CONDA_ANACONDA_ANON_USAGE",
    "Cargo": "CARGO_NET_OFFLINE",
    "Chroma": "ANONYMIZED_TELEMETRY",
    "ClearML": "CLEARML_OFFLINE_MODE",
    "Comet": "COMET_START_ONLINE",
    "DVC": "DVC_NO_ANALYTICS",
    "Dagster": "DAGSTER_DISABLE_TELEMETRY",
    "Git": "GIT_TERMINAL_PROMPT",
    "Go": "GOPROXY",
    "Google Cloud": "NO_GCE_CHECK",
    "Gradio": "GRADIO_ANALYTICS_ENABLED",
    "Haystack": "HAYSTACK_TELEMETRY_ENABLED",
    "Homebrew": "HOMEBREW_NO_ANALYTICS",
    "Hugging Face": "HF_HUB_OFFLINE",
    "Kedro": "KEDRO_DISABLE_TELEMETRY",
    "LangChain": "LANGSMITH_TRACING",
    "MLflow": "MLFLOW_DISABLE_TELEMETRY",
    "Neptune": "NEPTUNE_MODE",
    "OpenTelemetry": "OTEL_TRACES_EXPORTER",
    "Prefect": "PREFECT_SERVER_ANALYTICS_ENABLED",
    "Ray": "RAY_USAGE_STATS_ENABLED",
    "Sentry": "SENTRY_DSN",
    "Streamlit": "STREAMLIT_BROWSER_GATHER_USAGE_STATS",
    "Ultralytics": "YOLO_OFFLINE",
    "Weights & Biases": "WANDB_MODE",
    "ZenML": "ZENML_ANALYTICS_OPT_IN",
    "conda": "CONDA_OFFLINE",
    "many tools": "DO_NOT_TRACK",
    "npm": "npm_config_offline",
    "pip": "PIP_DISABLE_PIP_VERSION_CHECK",
    "uv": "UV_OFFLINE",
    "vLLM": "VLLM_NO_USAGE_STATS",
}
LONE = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import codex_core.offline.switches
print(*sorted(set(sys.modules) - before))
"""


def _names(values: Iterable[str]) -> dict[str, str]:
    return dict.fromkeys(values, "kept")


@pytest.mark.parametrize("names", [CERTIFICATES, OTHERS], ids=["certificates", "others"])
def test_what_is_not_named_survives(names: tuple[str, ...]) -> None:
    assert offline_environment(_names(names)) == {**_names(names), **SWITCHED}


@pytest.mark.parametrize("names", [PROXIES, *(names for _, names in WAYS_OUT)], ids=["proxies", *dict(WAYS_OUT)])
def test_what_leads_out_is_not_inherited(names: tuple[str, ...]) -> None:
    assert offline_environment(_names(names)) == SWITCHED


def test_urllib_finds_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.setenv(name, "http://192.0.2.1:3128")
    assert urllib.request.getproxies_environment()["https"] == "http://192.0.2.1:3128"
    environment = offline_environment(os.environ)
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    assert urllib.request.getproxies_environment().keys() <= {"node_use_env"}


def test_the_inherited_environment_is_not_changed() -> None:
    inherited = {"PATH": "/bin", "http_proxy": "http://192.0.2.1:3128", "HF_HUB_OFFLINE": "0"}
    before = dict(inherited)
    offline_environment(inherited)
    assert inherited == before


def test_a_switch_takes_the_place_of_the_own_value() -> None:
    own = dict.fromkeys(("RAY_USAGE_STATS_ENABLED", "LANGSMITH_TRACING", "HF_UPDATE_DOWNLOAD_COUNTS"), "1")
    assert offline_environment({**own, "SENTRY_DSN": "https://key@192.0.2.1/1"}) == SWITCHED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOPROXY", "file:///srv/modules"),
        ("NEPTUNE_MODE", "debug"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_TRACES_EXPORTER", "console"),
        ("SWANLAB_MODE", "local"),
        ("WANDB_MODE", "disabled"),
        ("WANDB_MODE", "dryrun"),
    ],
)
def test_an_own_value_that_keeps_the_tool_at_home_stays(name: str, value: str) -> None:
    assert offline_environment({name: value}) == {**SWITCHED, name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [("GOPROXY", "https://192.0.2.1"), ("NEPTUNE_MODE", "async"), ("WANDB_MODE", "online"), ("WANDB_MODE", "")],
)
def test_an_own_value_that_leads_out_does_not(name: str, value: str) -> None:
    assert offline_environment({name: value}) == SWITCHED


@pytest.mark.parametrize("name", ["NPM_CONFIG_OFFLINE", "prefect_server_analytics_enabled", "Anonymized_Telemetry"])
def test_no_other_spelling_of_a_switch_is_left(name: str) -> None:
    assert offline_environment({name: "true"}) == SWITCHED


def test_cleaning_again_changes_nothing() -> None:
    once = offline_environment({**_names(OTHERS), **_names(PROXIES), "WANDB_MODE": "disabled"})
    assert offline_environment(once) == once


def test_set_switches_leaves_what_is_no_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", environ := {"http_proxy": "http://192.0.2.1:3128", "HF_HUB_OFFLINE": "0"})
    set_switches(os.environ)
    assert environ == {"http_proxy": "http://192.0.2.1:3128", **SWITCHED}


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_a_row_is_whole(switch: Switch) -> None:
    assert switch.tool
    assert switch.effect
    assert switch.value or switch.name == "SENTRY_DSN"  # an empty address is how Sentry is told to send nothing
    assert switch.name.replace("_", "").isalnum()
    assert not switch.value.startswith(switch.as_good)
    assert "|" not in switch.tool + switch.name + switch.value + switch.effect


def test_no_variable_is_named_twice() -> None:
    names = [*(switch.name for switch in SWITCHES), *(name for _, names in WAYS_OUT for name in names)]
    assert len(names) == len({name.upper() for name in names})


def test_the_table_is_sorted() -> None:
    assert sorted(SWITCHES, key=lambda switch: (switch.tool.lower(), switch.name)) == list(SWITCHES)
    assert [sorted(names) for _, names in WAYS_OUT] == [list(names) for _, names in WAYS_OUT]


def test_every_tool_that_is_promised_has_its_switch() -> None:
    rows = {(switch.tool, switch.name) for switch in SWITCHES}
    assert set(TOOLS.items()) <= rows


def test_importing_the_table_loads_little() -> None:
    command = [sys.executable, "-S", "-c", LONE, str(Path(codex_core.__file__).parents[1])]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "codex_core.offline.switches" in loaded
    assert not {"collections", "dataclasses", "enum", "functools", "re", "typing"}.intersection(loaded)


@pytest.mark.skipif(not (ROOT / "hatch.toml").exists(), reason="the reference is part of the repository")
@pytest.mark.parametrize("render", ["switches", "ways out"])
def test_the_reference_shows_the_tables(render: str) -> None:
    table = _switches_table() if render == "switches" else _ways_out_table()
    text = PAGE.read_text() if PAGE.exists() else ""
    assert f"\n\n{table}\n" in text, f"put this table of {render} into {PAGE.relative_to(ROOT)}:\n\n{table}"


def _switches_table() -> str:
    rows = (
        f"| {switch.tool} | `{switch.name}` | {f'`{switch.value}`' if switch.value else 'empty'} | {switch.effect} |"
        for switch in SWITCHES
    )
    return "\n".join(["| tool | variable | value | with it, the tool |", "|---|---|---|---|", *rows])


def _ways_out_table() -> str:
    rows = (f"| {place} | {', '.join(f'`{name}`' for name in names)} |" for place, names in WAYS_OUT)
    return "\n".join(["| leads to | variables |", "|---|---|", *rows])
