"""What a person sees."""

from __future__ import annotations

import pytest

from codex_connectors.tables import object_table, readable_size, shown, table
from codex_core.storage import ObjectInfo


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (102297, "99.9 KiB"),
        (102400, "100 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3 * 1024**3, "3.0 GiB"),
        (5 * 1024**7, "5120 EiB"),
    ],
)
def test_sizes_have_about_three_digits(size: int, text: str) -> None:
    assert readable_size(size) == text


def test_columns_are_aligned_and_end_without_spaces() -> None:
    assert table([("1", "a", "x"), ("10", "bbb", "")], right=1) == " 1  a    x\n10  bbb"


def test_objects_are_shown_with_their_sum() -> None:
    objects = [ObjectInfo("a", 1), ObjectInfo("d/b", 2048)]
    assert object_table(objects) == "    1 B  a\n2.0 KiB  d/b\n2 objects, 2.0 KiB"
    assert object_table([]) == "0 objects, 0 B"
    assert object_table([ObjectInfo("a", 1, "sha256:00")]) == "1 B  sha256:00  a\n1 object, 1 B"


def test_a_key_cannot_send_control_sequences_to_a_terminal() -> None:
    assert shown("plain é") == "plain é"
    assert shown("a\x1b[31m\n") == "'a\\x1b[31m\\n'"
