"""``codex sealed``: the command inside is as if it had been started alone, but for the network."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from codex_cli.user_folders import user_ledger
from codex_core import ledger

if TYPE_CHECKING:
    from conftest import Mark

Ended = tuple[int, str, str]
Codex = Callable[..., Ended]


SEALED = [sys.executable, "-m", "codex_cli", "sealed", "--"]
COUNTER = """
import os, select, signal, sys
names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGXCPU")
come, note = os.pipe()
os.set_blocking(note, False)
signal.set_wakeup_fd(note)  # a handler of Python's own would run only when something else wakes this up
for name in names:
    signal.signal(getattr(signal, name), lambda *_: None)
print("ready", flush=True)
got = 0
while come in select.select([0, come], [], [])[0]:
    for number in os.read(come, 64):
        got += 1
        print(signal.Signals(number).name, flush=True)
print("end", got, flush=True)
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["sh", "-c", "kill -TERM $$"], 143),
        (["nosuchcommand"], 127),
        (["/"], 126),
    ],
)
def test_the_exit_code_is_that_of_the_command(codex: Codex, words: list[str], code: int) -> None:
    assert codex("sealed", "--", *words)[0] == code


def test_streams_words_and_folder_are_those_of_the_command(codex: Codex, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), sys.stdin.read()); print('two', file=sys.stderr)"
    done = subprocess.run(
        [*SEALED, sys.executable, "-c", code, "a b", "--json"],
        input="in",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"['a b', '--json'] {tmp_path} in\n", "two\n")


def test_a_command_inherits_no_descriptor_but_the_three(codex: Codex, tmp_path: Path) -> None:
    with open(tmp_path / "secret", "w") as secret:
        os.set_inheritable(secret.fileno(), True)
        code = "import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])"
        done = subprocess.run(
            [*SEALED, sys.executable, "-c", code], close_fds=False, capture_output=True, text=True, check=False
        )
    assert done.stdout == "['0', '1', '2']\n"


def test_a_script_without_an_interpreter_line_runs_in_the_shell_as_env_has_it(codex: Codex, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo from the shell\n")
    script.chmod(0o755)
    assert codex("sealed", str(script)) == (0, "from the shell\n", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "codex: there is no command to run; codex sealed -- CMD...\n"),
        (
            ["--nope", "--", "true"],
            "codex: codex sealed has no option '--nope'; codex sealed --help shows what it takes\n",
        ),
        (
            ["--policy=", "--", "true"],
            "codex: --policy is empty; codex sealed --help shows what it takes\n",
        ),
        (
            ["--policy", "a", "--policy", "b", "--", "true"],
            "codex: --policy is given twice; codex sealed --help shows what it takes\n",
        ),
        (
            ["--require-guard=kernel", "--require-guard", "python", "--", "true"],
            "codex: --require-guard is given twice; codex sealed --help shows what it takes\n",
        ),
        (["--policy"], "codex: --policy needs a value; codex sealed --help shows what it takes\n"),
        (
            ["--require-guard", "steel", "--", "true"],
            "codex: there is no guard level 'steel'; use kernel, nosocket, python\n",
        ),
        (["--policy", "absent.toml", "--", "true"], None),
    ],
)
def test_mistaken_words_are_told_and_nothing_runs(codex: Codex, words: list[str], told: str | None) -> None:
    code, out, err = codex("sealed", *words)
    assert (code, out) == (2, "")
    assert told is None or err == told
    assert "absent.toml" in err or told is not None


def test_every_mistake_of_a_policy_file_is_told_before_anything_runs(codex: Codex, tmp_path: Path) -> None:
    policy = tmp_path / "site.toml"
    policy.write_text('[[policy.allow]]\nid = "a"\nurl = "ftp://x"\nverbs = ["eat"]\n[stores.x]\n')
    code, out, err = codex("sealed", "--policy", str(policy), "--", "echo", "ran")
    assert (code, out) == (2, "")
    places = [line.partition(": ")[0] for line in err.splitlines()]
    assert places == [f"{policy}:{line}:{column}" for line, column in ((3, 1), (4, 10), (5, 2))]


def test_a_signal_to_the_process_reaches_the_command_once(mark: Mark) -> None:
    with counting(mark) as process:
        for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGTERM", "SIGINT", "SIGQUIT", "SIGWINCH", "SIGXCPU"):
            process.send_signal(getattr(signal, name))
            assert _line(process) == name
        assert _rest(process) == ["end 8"]
    assert process.returncode == 0


def test_a_signal_to_the_process_group_reaches_the_command_once(mark: Mark) -> None:
    with counting(mark) as process:
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"):
            os.killpg(process.pid, getattr(signal, name))
            assert _line(process) == name
        assert _rest(process) == ["end 4"]


def test_no_signal_to_the_process_group_ends_what_ignores_it(mark: Mark) -> None:
    code = "import signal; signal.signal(64, signal.SIG_IGN); print('up', flush=True); input(); print('alive')"
    words = [*SEALED, sys.executable, "-c", code, mark]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        assert _line(process) == "up"
        os.killpg(process.pid, signal.SIGRTMAX)
        assert process.communicate("\n", timeout=20)[0] == "alive\n"
    assert process.returncode == 0


def test_a_signal_that_was_ignored_stays_ignored(mark: Mark) -> None:
    process = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *SEALED, "sh", "-c", "kill -HUP $$; echo alive"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (0, "alive\n")


def test_an_interrupt_that_was_ignored_stays_ignored() -> None:
    line = 'trap "" INT; exec "$@"'
    words = ["sh", "-c", line, "sh", *SEALED, "sh", "-c", "kill -INT $$; echo alive"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n")


def test_a_signal_mask_of_who_starts_it_keeps_nobody_waiting() -> None:
    code = (
        "import signal, subprocess, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD]);"
        " sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    )
    words = [sys.executable, "-c", code, *SEALED, "sh", "-c", "exit 3"]
    assert subprocess.run(words, check=False, timeout=20).returncode == 3


def test_children_that_nobody_waits_for_stay_so() -> None:
    """With SIGCHLD ignored, the kernel reaps: the program's children, as it is used to, and not the seals."""
    code = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        " os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    inside = "import os, signal; print(signal.getsignal(signal.SIGCHLD).name); raise SystemExit(3)"
    for words, status, begin in (
        ([*SEALED, sys.executable, "-c", inside], 3, "SIG_IGN\n"),
        ([*SEALED[:-2], "doctor"], 0, "guard level: "),
    ):
        done = subprocess.run([sys.executable, "-c", code, *words[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert done.stdout.startswith(begin)


@pytest.mark.parametrize("level", ["kernel", "python", "nosocket"])
def test_who_waits_for_the_end_of_a_stream_waits_for_the_program_s(level: str) -> None:
    force = [sys.executable, "-c", f"{FORCED}\nforce({level!r})"]
    with subprocess.Popen([*force, "sh", "-c", "exec >&-; sleep 1000"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b""
        assert process.poll() is None
        process.terminate()
    with subprocess.Popen([*force, "sh", "-c", "exec <&-; sleep 1000"], stdin=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        with pytest.raises(BrokenPipeError):
            _write_on(process.stdin)
        assert process.poll() is None
        process.terminate()


def _write_on(stream: IO[bytes]) -> None:
    while True:
        stream.write(b"x")
        time.sleep(0.01)


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_that_is_closed_is_closed_inside(tmp_path: Path, closed: int) -> None:
    note = tmp_path / "note"
    code = "import os; there = [n for n in range(3) if os.path.exists(f'/proc/self/fd/{n}')]"
    inside = [sys.executable, "-c", f"{code}; open({str(note)!r}, 'w').write(str(there))"]
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}>&-', "sh", *SEALED, *inside], check=False)
    assert done.returncode == 0
    assert note.read_text() == str([number for number in range(3) if number != closed])


def test_what_a_command_leaves_running_ends_with_it(codex: Codex, mark: Mark) -> None:
    left = f"sleep 1000 # {mark}"
    assert (
        codex("sealed", "--", "sh", "-c", f"setsid sh -c '{left}; true' & nohup sh -c '{left}; true' & exit 3")[0] == 3
    )


@pytest.mark.parametrize("level", ["kernel", "python", "nosocket"])
def test_a_killed_keeper_takes_everything_with_it(mark: Mark, level: str) -> None:
    inside = ["sh", "-c", f"setsid sh -c 'sleep 1000; true {mark}' & echo up; sleep 1000; true {mark}"]
    words = [sys.executable, "-c", f"{FORCED}\nforce({level!r})", *inside]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert _line(process) == "up"
        process.kill()
        assert mark.ends()
        process.communicate()


FORCED = """
import sys
from codex_cli import sealed
from codex_core.offline import levels
def force(name):
    levels.start_highest = lambda required, start: (start(getattr(levels, name.upper())), [])
    sys.exit(sealed.main(["--", *sys.argv[1:]], __import__("os").environ))
"""


@pytest.mark.parametrize("level", ["kernel", "python", "nosocket"])
def test_a_killed_command_ends_what_it_left_at_every_level(mark: Mark, level: str) -> None:
    inside = ["sh", "-c", f"setsid sh -c 'sleep 1000; true {mark}' & kill -KILL $$"]
    words = [sys.executable, "-c", f"{FORCED}\nforce({level!r})", *inside]
    assert subprocess.run(words, check=False).returncode == 137


def test_it_works_in_the_middle_of_a_pipe() -> None:
    line = f"seq 3 | {' '.join(SEALED)} cat | tail -1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "3\n")


def test_a_refusal_is_recorded_and_shown_even_if_a_library_swallowed_it(codex: Codex, tmp_path: Path) -> None:
    code = """
import urllib.request
try:
    urllib.request.urlopen("https://models.example/v1")
except Exception:
    raise SystemExit("the model could not be fetched")
"""
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    status, out, err = codex("sealed", "--", sys.executable, "-c", code, env=state)
    assert (status, out) == (1, "")
    assert err == (
        "the model could not be fetched\n"
        "codex: a request was refused while this ran; the last:\n"
        "codex: no rule allows connect of https://models.example:443/ for stage 'sealed'\n"
        "this rule in codex.toml would allow it:\n\n"
        '[[policy.allow]]\nid = "models-example-443"\nurl = "https://models.example:443/**"\nverbs = ["connect"]\n'
        'stages = ["sealed"]\nreason = "why this endpoint is needed"\n\n'
    )
    (entry,) = ledger.read(tmp_path / "state/codex/ledger.ndjson")
    assert (entry.kind, entry.body["reported"], entry.body["stage"]) == ("decision", True, "sealed")


def test_a_project_that_is_read_only_has_its_decisions_in_the_user_s_ledger(codex: Codex, tmp_path: Path) -> None:
    """Its policy judges as ever."""
    project = tmp_path / "project"
    project.mkdir()
    denial = '[[policy.deny]]\nid = "never"\nurl = "https://h.example:443/**"\nverbs = ["connect"]\n'
    (project / "codex.toml").write_text(f'[pipeline]\nname = "p"\n{denial}')
    look = "import socket; socket.getaddrinfo('h.example', 443)"
    words = ["sealed", "--", sys.executable, "-c", look]
    steps = ["mount --bind . .", "mount -o remount,bind,ro .", 'cd "$PWD"', 'exec "$@"']
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", "; ".join(steps), "sh"]
    state = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [*namespace, *SEALED[:-2], *words], cwd=project, env=state, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "rule 'never' denies" in done.stderr
    (entry,) = ledger.read(tmp_path / "state/codex/ledger.ndjson")
    assert entry.body["rule"] == "never"
    assert [path.name for path in project.iterdir()] == ["codex.toml"]


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_a_ledger_that_is_no_file_starts_nothing(codex: Codex, tmp_path: Path, kind: str) -> None:
    (tmp_path / "work/codex.toml").write_text('[pipeline]\nname = "p"\n')
    path = tmp_path / "work/.codex/ledger.ndjson"
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path)
    code, out, err = codex("sealed", "--", "echo", "started")
    assert (code, out) == ((2 if kind == "link" else 1, "")), err
    assert str(path) in err


@pytest.mark.parametrize(("home", "place"), [("", None), ("relative", None), ("/somewhere", "/somewhere")])
def test_the_user_s_ledger_lies_at_home(home: str, place: str | None) -> None:
    own = place or pwd.getpwuid(os.getuid()).pw_dir
    assert user_ledger({"HOME": home}) == f"{own}/.local/state/codex/ledger.ndjson"
    assert user_ledger({"HOME": home, "XDG_STATE_HOME": "state"}) == f"{own}/.local/state/codex/ledger.ndjson"
    assert user_ledger({"HOME": home, "XDG_STATE_HOME": "/state"}) == "/state/codex/ledger.ndjson"


def test_a_descriptor_that_is_not_handed_in_is_named(codex: Codex, tmp_path: Path) -> None:
    code, _, err = codex("sealed", "--", "cat", "/dev/fd/9")
    note = "codex: a seal hands in three streams alone, so /dev/fd/9 is not there; use a pipe or a file\n"
    assert (code, err.endswith(note)) == (1, True)
    assert codex("sealed", "--", "sh", "-c", "exit 1", "/dev/fd/2", "/dev/fdx/9") == (1, "", "")


def test_at_nosocket_a_seal_holds_another(tmp_path: Path) -> None:
    limit = "echo 0 > /proc/sys/user/max_user_namespaces"
    words = ["unshare", "--user", "--map-root-user", "sh", "-ec", f'{limit}; exec "$@"', "sh"]
    code = "import os, socket; print(os.environ['CODEX_GUARD']); socket.socket()"
    done = subprocess.run(
        [*words, *SEALED, *SEALED, sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "nosocket\n"), done.stderr
    assert "Operation not permitted" in done.stderr or "not supported" in done.stderr


def test_a_refusal_is_recorded_in_the_project_around(codex: Codex, tmp_path: Path) -> None:
    (tmp_path / "codex.toml").write_text('[pipeline]\nname = "p"\n')
    (tmp_path / "deep").mkdir()
    code = "import socket; socket.create_connection(('198.51.100.7', 443))"
    for _ in range(2):
        assert codex("sealed", "--", sys.executable, "-c", code, cwd=tmp_path / "deep")[0] == 1
    status, out, _ = codex("ledger", "show", "--verdict", "refuse", "--json", cwd=tmp_path)
    assert status == 0
    assert [entry["body"]["url"] for entry in json.loads(out)["entries"]] == ["https://198.51.100.7:443/"] * 2


def test_a_program_that_the_guard_does_not_see_is_explained_by_what_the_kernel_counted(codex: Codex) -> None:
    code = """
import ctypes, socket
outside = b"\\x02\\x00\\x00\\x50\\xc6\\x33\\x64\\x07" + bytes(8)
sock = socket.socket()
print(ctypes.CDLL(None).connect(sock.fileno(), outside, len(outside)))
raise SystemExit(1)
"""
    status, out, err = codex("sealed", "--", sys.executable, "-c", code)
    assert (status, out) == (1, "-1\n")
    assert err == "codex: the program tried once to reach a network, and there is none in a seal\n"


def test_a_name_that_native_code_looked_up_is_told_and_recorded(codex: Codex, tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    looked = "getent hosts files.example; getent ahosts other.example; getent hosts Files.Example; exit 3"
    status, out, err = codex("sealed", "--", "sh", "-c", looked, env=state)
    assert (status, out) == (3, "")
    assert err == (
        "codex: the program looked up files.example and 1 other name, and a seal has only the names of hosts that a"
        " rule in force names exactly; codex policy explain https://files.example/ --stage sealed says what the policy"
        " answers\n"
    )
    entries = list(ledger.read(tmp_path / "state/codex/ledger.ndjson"))
    assert [(entry.kind, entry.body["stage"], entry.body["name"]) for entry in entries] == [
        ("lookup", "sealed", "files.example"),
        ("lookup", "sealed", "other.example"),
    ]
    assert all(int(str(entry.body["times"])) >= 1 for entry in entries)  # each asks for both families


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *SEALED, "true"]
    done = subprocess.run(words, cwd=gone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "codex: the folder that this runs in has been removed; change to one that is there\n"


def test_a_signal_at_any_moment_of_the_start_ends_it(mark: Mark) -> None:
    for number in range(30):
        with subprocess.Popen(
            [*SEALED, "sh", "-c", "sleep 1000; true", mark], stderr=subprocess.PIPE, text=True
        ) as process:
            time.sleep(number / 300)
            process.terminate()
            _, err = process.communicate(timeout=20)
            assert process.returncode in {143, -signal.SIGTERM}, err  # the second before Codex has begun to listen
    assert mark.ends()


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_terminals_can_be_made_inside(user: str, tmp_path: Path) -> None:
    code = "import os; own, other = os.openpty(); os.write(own, b'a\\n'); print(os.ttyname(other), os.read(other, 9))"
    words = [*SEALED, sys.executable, "-c", code]
    if user == "nobody":
        if os.geteuid() != 0:
            pytest.skip("only root can become another user")
        words = ["unshare", "--user", "--map-user=65534", "--map-group=65534", *words]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "HOME": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"/dev/pts/[0-9]+ b'a\\n'\n", done.stdout)


def test_what_succeeded_is_told_nothing_of(codex: Codex) -> None:
    code = "import socket, contextlib\nwith contextlib.suppress(OSError): socket.create_connection(('198.51.100.7', 1))"
    assert codex("sealed", "--", sys.executable, "-c", code) == (0, "", "")


def test_help_says_what_it_takes_without_running_anything(codex: Codex) -> None:
    status, out, err = codex("sealed", "--help")
    assert (status, err) == (0, "")
    assert out.startswith("Usage: codex sealed [OPTIONS] [--] CMD...\n")


def test_a_required_level_that_cannot_be_had_ends_with_78_and_says_what_forbids_it() -> None:
    done = without_namespaces("--require-guard", "kernel", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == (
        "codex: guard level 'kernel' is required and cannot be had here: kernel (unshare: ENOSPC;"
        " /proc/sys/user/max_user_namespaces is 0; what would allow it: sysctl user.max_user_namespaces=10000);"
        " codex doctor tells more; --require-guard nosocket runs with no socket but unix ones, loopback neither\n"
    )


def test_where_namespaces_are_forbidden_seccomp_still_holds() -> None:
    done = without_namespaces("--", sys.executable, "-c", "import socket; socket.socketpair(); socket.socket()")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Address family not supported by protocol" in done.stderr
    assert done.stderr.endswith(
        "codex: this ran at guard level nosocket, where no socket works but unix ones, loopback neither; codex doctor"
        " says what would raise the level\n"
    )


def test_a_level_that_stops_no_native_code_is_told_at_once() -> None:
    words = [sys.executable, "-c", f"{FORCED}\nforce('python')", "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "codex: guard level python: native code is not stopped; codex doctor says what would raise the level\n"
    )


def test_inside_a_seal_the_level_is_kernel_inherited_and_the_outer_keeper_records(codex: Codex, tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    code = "import socket; socket.create_connection(('198.51.100.7', 443))"
    words = [*SEALED[:-1], "--require-guard", "kernel", "--", sys.executable, "-c", code]
    status, out, err = codex("sealed", "--", *words, env=state)
    assert (status, out) == (1, "")
    assert err.count("no rule allows connect of https://198.51.100.7:443/") == 3  # the traceback, and both keepers
    (entry,) = ledger.read(tmp_path / "state/codex/ledger.ndjson")
    assert entry.body["url"] == "https://198.51.100.7:443/"


def test_a_keeper_inside_another_tells_it_how_often_each_decision_was_made(codex: Codex, tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    code = """
import contextlib, socket
for _ in range(25):
    with contextlib.suppress(OSError):
        socket.create_connection(("198.51.100.7", 443))
"""
    assert codex("sealed", "--", *SEALED, sys.executable, "-c", code, env=state)[0] == 0
    entries = list(ledger.read(tmp_path / "state/codex/ledger.ndjson"))
    assert sum(int(str(entry.body.get("times", 1))) for entry in entries) == 25


def without_namespaces(*words: str) -> subprocess.CompletedProcess[str]:
    """``codex sealed`` where the limit of user namespaces is 0, as a user namespace can set it for what is below it."""
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh", *SEALED[:-1], *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class counting:  # noqa: N801 - written like a function
    """A sealed command that prints each signal that it gets."""

    def __init__(self, mark: Mark) -> None:
        self._words = [*SEALED, sys.executable, "-c", COUNTER, mark]

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
        )
        assert _line(self._process) == "ready"
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _rest(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate("end\n", timeout=20)
    return out.split("\n")[:-1]
