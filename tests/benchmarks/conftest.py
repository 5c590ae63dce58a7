"""What several tests of benchmarks start from."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def inspect_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What inspect_ai keeps between processes lies under the test's folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)


@pytest.fixture
def judge_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`reagent bench judge` with a home and a width of its own, and few resamples: intervals are for other tests."""
    from reagent_benchmarks.judging import figures

    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    monkeypatch.setattr(figures, "RESAMPLES", 20)
