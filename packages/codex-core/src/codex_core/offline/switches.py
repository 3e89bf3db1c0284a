"""The switches: variables that make a tool stay at home, and the variables that would lead a sealed program out.

Hints, never trusted: a tool may not know its switch, or ignore it. What they save is the wait of a program that asks
for what it will not get. Every name and value was looked up in the tool's own source or reference.
"""

from __future__ import annotations

TYPE_CHECKING = False  # this stands on the start path of a sealed command, and importing typing costs as much as it
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping


class Switch:
    """The variable ``name`` and the ``value`` with which ``tool`` does what ``effect`` says.

    ``as_good`` are beginnings of other values that keep the tool at home as well; a user who has one keeps it.
    """

    __slots__ = ("as_good", "effect", "name", "tool", "value")

    def __init__(self, tool: str, name: str, value: str, effect: str, as_good: tuple[str, ...] = ()) -> None:
        self.tool, self.name, self.value, self.effect, self.as_good = tool, name, value, effect, as_good


SWITCHES = (
    Switch(".NET", "DOTNET_CLI_TELEMETRY_OPTOUT", "1", "sends no usage data"),
    Switch(".NET", "DOTNET_CLI_WORKLOAD_UPDATE_NOTIFY_DISABLE", "true", "looks for no newer workloads"),
    Switch("Albumentations", "NO_ALBUMENTATIONS_UPDATE", "1", "looks for no newer version"),
    Switch("Anaconda", "CONDA_ANACONDA_ANON_USAGE", "false", "adds no tokens to conda's requests"),
    Switch("Anaconda", "CONDA_PLUGINS_ANACONDA_TELEMETRY", "false", "adds no usage data to conda's requests"),
    Switch("AWS", "AWS_EC2_METADATA_DISABLED", "true", "asks no metadata service for credentials"),
    Switch("Azure CLI", "AZURE_CORE_COLLECT_TELEMETRY", "false", "sends no usage data"),
    Switch("BentoML", "BENTOML_DO_NOT_TRACK", "True", "sends no usage data"),
    Switch("Cargo", "CARGO_NET_OFFLINE", "true", "builds from what is on disk"),
    Switch("Chroma", "ANONYMIZED_TELEMETRY", "False", "sends no usage data"),
    Switch("ClearML", "CLEARML_OFFLINE_MODE", "1", "keeps its records on disk"),
    Switch("Comet", "COMET_ERROR_TRACKING_ENABLE", "false", "reports no errors of its own"),
    Switch("Comet", "COMET_START_ONLINE", "false", "keeps what comet_ml.start records on disk"),
    Switch("conda", "CONDA_NOTIFY_OUTDATED_CONDA", "false", "looks for no newer conda"),
    Switch("conda", "CONDA_NUMBER_CHANNEL_NOTICES", "0", "asks no channel for notices"),
    Switch("conda", "CONDA_OFFLINE", "true", "uses its cache and file:// channels alone"),
    Switch("conda", "CONDA_REPORT_ERRORS", "false", "reports no errors of its own"),
    Switch("Corepack", "COREPACK_ENABLE_NETWORK", "0", "fetches no package manager"),
    Switch("CrewAI", "CREWAI_DISABLE_TELEMETRY", "true", "sends no usage data"),
    Switch("CrewAI", "CREWAI_DISABLE_VERSION_CHECK", "true", "looks for no newer version"),
    Switch("Dagster", "DAGSTER_DISABLE_TELEMETRY", "1", "sends no usage data"),
    Switch("dbt", "DBT_SEND_ANONYMOUS_USAGE_STATS", "false", "sends no usage data"),
    Switch("DeepEval", "DEEPEVAL_TELEMETRY_OPT_OUT", "1", "sends no usage data"),
    Switch("DVC", "DVC_NO_ANALYTICS", "1", "sends no usage data"),
    Switch("DVC", "DVC_STUDIO_OFFLINE", "true", "sends no live metrics to Studio"),
    Switch("DVC", "ITERATIVE_DO_NOT_TRACK", "1", "sends no usage data of its sister tools"),
    Switch("FiftyOne", "FIFTYONE_DO_NOT_TRACK", "true", "sends no usage data"),
    Switch("Flower", "FLWR_DISABLE_UPDATE_CHECK", "1", "looks for no newer version"),
    Switch("Flower", "FLWR_TELEMETRY_ENABLED", "0", "sends no usage data"),
    Switch("Git", "GCM_INTERACTIVE", "false", "fails where its credential manager would open a window"),
    Switch("Git", "GIT_TERMINAL_PROMPT", "0", "fails where it would wait for a password"),
    Switch("GitHub CLI", "GH_NO_UPDATE_NOTIFIER", "1", "looks for no newer version"),
    # GOSUMDB=off is not set: it would accept a module that nobody has vouched for
    Switch("Go", "GOPROXY", "off", "fetches no modules", ("file:",)),
    Switch("Go", "GOTOOLCHAIN", "local", "fetches no newer Go"),
    Switch("Google Cloud", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK", "true", "looks for no newer gcloud"),
    Switch("Google Cloud", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING", "true", "sends no usage data of gcloud"),
    Switch("Google Cloud", "NO_GCE_CHECK", "true", "asks no metadata service whether it is in that cloud"),
    Switch("Gradio", "GRADIO_ANALYTICS_ENABLED", "False", "sends no usage data, looks for no newer version"),
    Switch("Great Expectations", "GX_ANALYTICS_ENABLED", "false", "sends no usage data"),
    Switch("Hamilton", "HAMILTON_TELEMETRY_ENABLED", "false", "sends no usage data"),
    Switch("Haystack", "HAYSTACK_TELEMETRY_ENABLED", "false", "sends no usage data"),
    Switch("Homebrew", "HOMEBREW_NO_ANALYTICS", "1", "sends no usage data"),
    Switch("Homebrew", "HOMEBREW_NO_AUTO_UPDATE", "1", "does not update itself before another command"),
    Switch("Hugging Face", "DISABLE_SAFETENSORS_CONVERSION", "1", "asks no service to convert old weights"),
    Switch("Hugging Face", "HF_DATASETS_OFFLINE", "1", "loads data sets from its cache"),
    Switch("Hugging Face", "HF_EVALUATE_OFFLINE", "1", "loads metrics from its cache"),
    Switch("Hugging Face", "HF_HUB_DISABLE_TELEMETRY", "1", "sends no usage data"),
    Switch("Hugging Face", "HF_HUB_DISABLE_UPDATE_CHECK", "1", "looks for no newer hf command"),
    Switch("Hugging Face", "HF_HUB_OFFLINE", "1", "loads from its cache, asks the hub nothing"),
    Switch("Hugging Face", "HF_UPDATE_DOWNLOAD_COUNTS", "0", "counts no downloads at the hub"),
    Switch("Hugging Face", "TRANSFORMERS_OFFLINE", "1", "loads models from its cache"),
    Switch("Julia", "JULIA_PKG_OFFLINE", "true", "installs from what is on disk"),
    Switch("Kedro", "KEDRO_DISABLE_TELEMETRY", "1", "sends no usage data"),
    # LangSmith heeds the first that it finds, in an order of its own; the oldest, left on alone, stops LangChain
    Switch("LangChain", "LANGCHAIN_TRACING", "false", "sends no traces to LangSmith"),
    Switch("LangChain", "LANGCHAIN_TRACING_V2", "false", "sends no traces to LangSmith"),
    Switch("LangChain", "LANGSMITH_TRACING", "false", "sends no traces to LangSmith"),
    Switch("LangChain", "LANGSMITH_TRACING_V2", "false", "sends no traces to LangSmith"),
    Switch("LiteLLM", "LITELLM_LOCAL_MODEL_COST_MAP", "True", "uses the prices that it was installed with"),
    Switch("LiteLLM", "LITELLM_OFFLINE_MODE", "true", "fetches no catalogs, looks for no newer version"),
    # no value suits all: vLLM takes only 1, MLflow only true, Hugging Face and Prefect both
    Switch("many tools", "DO_NOT_TRACK", "1", "send no usage data"),
    Switch("Mem0", "MEM0_TELEMETRY", "False", "sends no usage data"),
    Switch("MLflow", "MLFLOW_DISABLE_TELEMETRY", "true", "sends no usage data"),
    Switch("Neptune", "NEPTUNE_MODE", "offline", "keeps its records on disk", ("debug",)),
    Switch("npm", "npm_config_audit", "false", "sends no list of packages for an audit"),
    Switch("npm", "npm_config_fund", "false", "asks for no donations"),
    Switch("npm", "npm_config_offline", "true", "installs from its cache"),
    Switch("npm", "npm_config_update_notifier", "false", "looks for no newer version"),
    Switch("OpenAI Agents", "OPENAI_AGENTS_DISABLE_TRACING", "1", "sends no traces"),
    # OTEL_SDK_DISABLED is not set: it would also end the spans that a program keeps for itself, as MLflow does
    Switch("OpenTelemetry", "OTEL_LOGS_EXPORTER", "none", "exports no logs on its own", ("console",)),
    Switch(
        "OpenTelemetry", "OTEL_METRICS_EXPORTER", "none", "exports no metrics on its own", ("console", "prometheus")
    ),
    Switch("OpenTelemetry", "OTEL_TRACES_EXPORTER", "none", "exports no traces on its own", ("console",)),
    Switch("Opik", "OPIK_SENTRY_ENABLE", "false", "reports no errors of its own"),
    Switch("PDM", "PDM_CHECK_UPDATE", "false", "looks for no newer version"),
    Switch("Phoenix", "PHOENIX_TELEMETRY_ENABLED", "false", "sends no usage data"),
    Switch("pip", "PIP_DISABLE_PIP_VERSION_CHECK", "1", "looks for no newer version"),
    Switch("pip", "PIP_NO_INPUT", "1", "fails where it would wait for a password"),
    # PIP_NO_INDEX is not set: it would shut out an index that is a folder on disk
    Switch("pip", "PIP_RETRIES", "0", "asks an index that does not answer once, not six times"),
    Switch("Prefect", "PREFECT_SERVER_ANALYTICS_ENABLED", "false", "sends no usage data"),
    Switch("Ragas", "RAGAS_DO_NOT_TRACK", "true", "sends no usage data"),
    Switch("Ray", "RAY_USAGE_STATS_ENABLED", "0", "sends no usage data"),  # anything but 0 and 1 stops Ray
    Switch("Scarf", "SCARF_ANALYTICS", "false", "reports no installation of an npm package"),
    Switch("Scarf", "SCARF_NO_ANALYTICS", "true", "reports no use of a library"),
    Switch("Sentry", "SENTRY_DSN", "", "sends no errors unless the program says where to"),
    Switch("SkyPilot", "SKYPILOT_DISABLE_USAGE_COLLECTION", "1", "sends no usage data"),
    Switch("Streamlit", "STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false", "sends no usage data"),
    Switch("SwanLab", "SWANLAB_MODE", "offline", "keeps its records on disk", ("disabled", "local")),
    Switch("Ultralytics", "YOLO_AUTOINSTALL", "false", "installs no packages by itself"),
    Switch("Ultralytics", "YOLO_OFFLINE", "true", "takes the machine for offline: no usage data, no updates"),
    Switch("Unsloth", "UNSLOTH_DISABLE_STATISTICS", "1", "sends no usage data"),
    Switch("uv", "UV_OFFLINE", "1", "uses its cache and files on disk"),
    Switch("uv", "UV_PYTHON_DOWNLOADS", "never", "fetches no Python"),
    Switch("vLLM", "VLLM_DO_NOT_TRACK", "1", "sends no usage data"),
    Switch("vLLM", "VLLM_NO_USAGE_STATS", "1", "sends no usage data"),
    Switch("Weave", "WEAVE_DISABLED", "true", "sends no traces"),
    Switch("Weights & Biases", "WANDB_ERROR_REPORTING", "false", "reports no errors of its own"),
    Switch("Weights & Biases", "WANDB_MODE", "offline", "keeps its records on disk", ("disabled", "dryrun")),
    Switch("whylogs", "WHYLOGS_NO_ANALYTICS", "True", "sends no usage data"),
    Switch("ydata-profiling", "YDATA_PROFILING_NO_ANALYTICS", "True", "sends no usage data"),
    Switch("ZenML", "ZENML_ANALYTICS_OPT_IN", "false", "sends no usage data"),
)
"""Every switch, by tool and name."""

WAYS_OUT = (
    (
        "an agent that holds keys",
        ("GNOME_KEYRING_CONTROL", "GNOME_KEYRING_PID", "GPG_AGENT_INFO", "SSH_AGENT_PID", "SSH_AUTH_SOCK"),
    ),
    ("a container engine", ("BUILDKIT_HOST", "CONTAINERD_ADDRESS", "CONTAINER_HOST", "DOCKER_HOST")),
    (
        "a message bus",
        (
            "AT_SPI_BUS_ADDRESS",
            "DBUS_SESSION_BUS_ADDRESS",
            "DBUS_STARTER_ADDRESS",
            "DBUS_STARTER_BUS_TYPE",
            "DBUS_SYSTEM_BUS_ADDRESS",
        ),
    ),
    (
        "the desktop: its screen, its sound, its session",
        (
            "DISPLAY",
            "ICEAUTHORITY",
            "PIPEWIRE_REMOTE",
            "PULSE_SERVER",
            "SESSION_MANAGER",
            "WAYLAND_DISPLAY",
            "WAYLAND_SOCKET",
            "XAUTHORITY",
            "XDG_RUNTIME_DIR",
        ),
    ),
    (
        "the service manager",
        (
            "JOURNAL_STREAM",
            "LISTEN_FDNAMES",
            "LISTEN_FDS",
            "LISTEN_PID",
            "NOTIFY_SOCKET",
            "WATCHDOG_PID",
            "WATCHDOG_USEC",
        ),
    ),
    (
        "the terminal or editor that it was started from",
        ("STY", "TMUX", "TMUX_PANE", "VSCODE_GIT_IPC_HANDLE", "VSCODE_IPC_HOOK", "VSCODE_IPC_HOOK_CLI"),
    ),
    ("servers of debugging symbols", ("DEBUGINFOD_URLS",)),
    ("a command that connects for Git", ("GIT_PROXY_COMMAND",)),
)
"""What a sealed program does not inherit, and where it leads. The variables that name a proxy come on top."""

_LED_OUT = frozenset(name for _, names in WAYS_OUT for name in names)
_SPELLINGS = {switch.name.upper(): switch.name for switch in SWITCHES}
_NO_ADDRESS = "NODE_USE_ENV_PROXY"
"""It tells Node.js to heed the variables that name a proxy, and the seal's own broker is named by such."""


def offline_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a sealed program: ``inherited`` without what leads out, and with every switch.

    A switch takes the place of the user's own value, which could only make the program wait for a refusal; what a
    stage sets in its ``env`` comes later and wins. All else stays: paths, credentials, the site's own certificates.
    """
    environment = {
        name: value for name, value in inherited.items() if name not in _LED_OUT and not _names_a_proxy(name)
    }
    set_switches(environment)
    return environment


def set_switches(environ: MutableMapping[str, str]) -> None:
    """Set every switch in ``environ``; a module that has already read its variable keeps what it read."""
    # npm and pydantic-settings ignore case, and of two spellings the last one wins
    for name in [name for name in environ if _SPELLINGS.get(name.upper(), name) != name]:
        del environ[name]
    for switch in SWITCHES:
        if not environ.get(switch.name, "").startswith(switch.as_good):
            environ[switch.name] = switch.value


def _names_a_proxy(name: str) -> bool:
    """Whether a program may take the variable for a proxy, or for a list of hosts that need none.

    ``urllib`` takes SCHEME_proxy for any scheme, in any case; npm and gcloud have names of their own.
    """
    lowered = name.lower()
    return name != _NO_ADDRESS and (
        lowered.endswith("_proxy")
        or (lowered.startswith("npm_config_") and lowered.endswith("proxy"))
        or lowered.startswith("cloudsdk_proxy_")
    )
