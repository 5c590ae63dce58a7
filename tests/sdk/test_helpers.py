"""The tests' own helpers. All their folders are on the path at once, where a name can be taken only once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_two_helpers_have_the_same_name() -> None:
    names = Counter(
        path.stem for folder in TESTS.glob("**/helpers") for path in folder.iterdir() if path.name[0] != "_"
    )
    assert names["tiny_pieces"] == 1
    assert [name for name, count in names.items() if count > 1] == []


def test_what_is_called_slow_is_there() -> None:
    """A name that is spelt wrongly would leave its test among the fast ones."""
    text = (TESTS / "conftest.py").read_text()
    slow = re.findall(r'"(test_\w+\.py)(?:::(\w+))?"', text[text.index("SLOW = (") : text.index("LONGEST = (")])
    assert len(slow) > 30
    for file, name in slow:
        found = [path.read_text() for path in TESTS.glob(f"**/{file}")]
        assert found, file
        assert not name or any(f"def {name}(" in one for one in found), (file, name)
