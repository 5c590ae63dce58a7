"""What an adapter says when its framework is missing or of another version."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from reagent_adapters import versions
from reagent_adapters.versions import SUPPORTED, UnsupportedVersion, require

from reagent_sdk.errors import MissingExtra

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("package", SUPPORTED)
def test_another_version_is_one_error_that_names_the_range(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda _: "999.0")
    with pytest.raises(UnsupportedVersion) as raised:
        require.__wrapped__(package, "extra")
    told = f"{package}{SUPPORTED[package]}"
    assert str(raised.value) == (
        f"{package} 999.0 is installed, and this adapter works with {told}: pip install '{told}'"
    )


def test_a_missing_framework_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(versions, "version", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'reagent-sdk\[langchain\]'"):
        require.__wrapped__("langchain", "langchain")


def test_a_release_candidate_within_the_range_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda _: "1.5.0rc1")
    require.__wrapped__("langchain", "langchain")


@pytest.mark.parametrize("package", SUPPORTED)
def test_extras_install_what_is_supported(package: str) -> None:
    # training's recipes override methods of one release of TRL, which the adapter does not
    asked = [Requirement(one) for extra, names in EXTRAS.items() if extra != "training" for one in names]
    ranges = {str(one.specifier) for one in asked if one.name == package and "<" in str(one.specifier)}
    assert ranges == {str(SpecifierSet(SUPPORTED[package]))}


@pytest.mark.parametrize("package", SUPPORTED)
def test_both_ends_of_a_range_are_tested(package: str) -> None:
    """The oldest version that the range admits is pinned in some environment, and a newer one in another."""
    pinned = {
        pin.partition("==")[2]
        for file in (ROOT / "tests/adapters/envs").glob("*.txt")
        for pin in file.read_text().splitlines()
        if pin.startswith(f"{package}==")
    }
    if package == "trl":
        pytest.skip("TRL needs torch: its oldest version is not tested by `make adapters`")
    lowest = next(one.version for one in SpecifierSet(SUPPORTED[package]) if one.operator == ">=")
    assert any(SpecifierSet(f"=={lowest}").contains(one) for one in pinned), (lowest, pinned)
    assert len(pinned) > 1


def test_adapters_stay_small() -> None:
    files = [*(ROOT / "adapters").rglob("*.py")]
    assert len(files) > 50
    assert {str(file): lines for file in files if (lines := len(file.read_text("utf-8").splitlines())) >= 200} == {}
