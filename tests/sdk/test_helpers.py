"""The tests' own helpers. All their folders are on the path at once, where a name can be taken only once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_two_helpers_have_the_same_name() -> None:
    names = Counter(
        path.stem for folder in TESTS.glob("**/helpers") for path in folder.iterdir() if path.name[0] != "_"
    )
    assert names["tiny_pieces"] == 1
    assert [name for name, count in names.items() if count > 1] == []
