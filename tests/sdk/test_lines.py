"""Lines on disk outlive the process that writes them, whichever byte it dies at."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.lines import LineFile

LINES = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=8)


def read(path: Path) -> list[bytes]:
    return [line for _, line in LineFile(path)]


@given(before=LINES, after=LINES, lost=st.integers(0, 300))
def test_what_a_killed_process_left_is_gone_on_from(before: list[bytes], after: list[bytes], lost: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "lines"
        first = LineFile(path)
        for line in before:
            first.append(line)
        whole = before
        if before:
            data = path.read_bytes()
            path.write_bytes(data[: max(0, len(data) - lost)])
            whole = data[: max(0, len(data) - lost)].split(b"\n")[:-1]
        assert read(path) == whole
        second = LineFile(path)
        places = [second.append(line) for line in after]
        assert read(path) == [*whole, *after]
        assert [second.at(place) for place in places] == after
        assert [place for place, _ in second][len(whole) :] == places


def test_reading_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert (read(path), path.exists()) == ([], False)
    path.write_bytes(b"one\r\ntwo\ntor")
    assert read(path) == [b"one\r", b"two"]
    assert path.read_bytes() == b"one\r\ntwo\ntor"
    LineFile(path).append(b"three")
    assert path.read_bytes() == b"one\r\ntwo\nthree\n"


def test_a_line_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one line at a time"):
        LineFile(tmp_path / "lines").append(b"one\ntwo")
    assert not (tmp_path / "lines").exists()


def test_what_could_not_be_written_is_written_over(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "lines", mode=0o600)
    file.append(b"one")
    (tmp_path / "lines").write_bytes(b"one\nhalf of tw")  # as a full disk leaves it
    file.append(b"two")
    assert read(tmp_path / "lines") == [b"one", b"two"]
    assert (tmp_path / "lines").stat().st_mode & 0o777 == 0o600
    file.remove()
    file.remove()
    file.append(b"anew")
    assert read(tmp_path / "lines") == [b"anew"]
