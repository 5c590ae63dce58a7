from __future__ import annotations

from pathlib import Path

import pytest

from reagent_sdk.replacing import replacing


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with replacing(path) as draft:
        draft.write(b"one")
        assert not path.exists()
    path.chmod(0o600)
    with replacing(path) as draft:
        draft.write(b"two")
        assert path.read_bytes() == b"one"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    with pytest.raises(RuntimeError, match="stop"):
        _break_off(path)
    assert path.read_bytes() == b"two"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def _break_off(path: Path) -> None:
    with replacing(path) as draft:
        draft.write(b"three")
        raise RuntimeError("stop")
