from __future__ import annotations

from pathlib import Path

import pytest

from reagent_sdk.errors import InvalidInput
from reagent_sdk.models import unpack


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="is there already; name a folder that does not exist yet"):
        unpack(tmp_path / "any.gguf", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
