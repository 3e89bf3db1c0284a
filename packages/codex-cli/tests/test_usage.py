"""What the words of a command line promise: --force is told apart from --force STAGE, and a bad word gets a hint."""

from __future__ import annotations

import pytest
import typer

from codex_cli.commands import app, call_app
from codex_cli.usage import spell_force
from codex_core.command import Reply
from codex_core.errors import PluginError, ShortRead, UsageError


@pytest.mark.parametrize(
    ("words", "spelt"),
    [
        (["--force"], ["--force=*"]),
        (["--force", "train"], ["--force=train"]),
        (["--force=train"], ["--force=train"]),
        (["--force", "docs/x"], ["--force=*", "docs/x"]),
        (["--force", "./docs"], ["--force=*", "./docs"]),
        (["--force", "codex.toml"], ["--force=*", "codex.toml"]),
        (["--force", "."], ["--force=*", "."]),
        (["--force", "--json"], ["--force=*", "--json"]),
        (["--force", "train", "docs"], ["--force=train", "docs"]),
        (["docs", "--force"], ["docs", "--force=*"]),
        (["--force", "a", "--force", "b"], ["--force=a", "--force=b"]),
        (["--force=*", "docs"], ["--force=*", "docs"]),
        (["--force", "--", "docs"], ["--force=*", "--", "docs"]),
        (["--", "--force", "train"], ["--", "--force", "train"]),
        ([], []),
    ],
)
def test_force_takes_the_next_word_only_if_it_could_name_a_stage(words: list[str], spelt: list[str]) -> None:
    assert spell_force(words) == spelt


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["run", "--forse"], "codex run: no such option: --forse", "did you mean '--force'?"),
        (["run", "--zzz"], "codex run: no such option: --zzz", "codex run --help shows what it takes"),
        (
            ["policy", "explain"],
            "codex policy explain: missing argument 'URL'",
            "codex policy explain --help shows what it takes",
        ),
    ],
)
def test_bad_words_are_a_usage_error_with_a_hint(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        call_app(app, words)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_word_too_many_is_named() -> None:
    with pytest.raises(UsageError, match=r"codex run: got unexpected extra argument(\(s\))? \(b\)"):
        call_app(app, ["run", "a", "b"])


def test_end_of_data_is_not_taken_for_the_end_of_a_terminal() -> None:
    cut = typer.Typer()

    @cut.command("one")
    def one() -> Reply:
        raise ShortRead("the object ended early")

    @cut.command("two")
    def two() -> None:
        print("done")

    with pytest.raises(ShortRead):
        call_app(cut, ["one"])
    with pytest.raises(PluginError, match="the command 'two' returned NoneType, not a Reply"):
        call_app(cut, ["two"])


def test_help_is_a_reply_that_has_been_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert call_app(app, ["ledger", "verify", "-h"]) == Reply({})
    out, err = capsys.readouterr()
    assert (out.splitlines()[0], err) == ("Usage: codex ledger verify [OPTIONS] [FILE]", "")
