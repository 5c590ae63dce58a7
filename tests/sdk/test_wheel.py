"""What users install is the wheel, not this checkout: build it, look inside, and import from it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"reagent_sdk", "reagent_adapters", "reagent_training", "reagent_benchmarks"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # Run elsewhere: a folder named build in the checkout would be imported in place of the tool.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[PurePosixPath]:
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist()]


def test_the_top_level_names_are_ours_and_no_others(names: list[PurePosixPath]) -> None:
    top = {name.parts[0] for name in names}
    (info,) = top - PACKAGES
    assert top >= PACKAGES
    assert info.startswith("reagent_sdk-")
    assert info.endswith(".dist-info")


def test_every_package_is_marked_as_typed(names: list[PurePosixPath]) -> None:
    assert {name.parts[0] for name in names if name.name == "py.typed"} == PACKAGES


def test_nothing_strays_in(names: list[PurePosixPath]) -> None:
    strays = [
        name
        for name in names
        if {"tests", "__pycache__", "recipes"} & set(name.parts)
        or name.name.startswith((".", "test_", "conftest"))
        or name.suffix in {".pyc", ".jsonl", ".log"}
        or (name.suffix in {".gguf", ".safetensors"} and "agent-rrm-tiny" not in name.parts)
    ]
    assert strays == []


def test_the_command_and_the_licence_are_there(wheel: Path, names: list[PurePosixPath]) -> None:
    (entry_points,) = [name for name in names if name.name == "entry_points.txt"]
    with zipfile.ZipFile(wheel) as archive:
        assert "reagent = reagent_sdk.cli:main" in archive.read(str(entry_points)).decode().splitlines()
    assert any(name.name == "LICENSE" for name in names)


IMPORT = """
import importlib.util, sys
sys.path.insert(0, sys.argv[1])
import reagent_sdk
for name in sys.argv[2:]:
    print(importlib.util.find_spec(name).origin)
"""


def test_the_installed_wheel_imports(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    command = [sys.executable, "-I", "-W", "error", "-c", IMPORT, str(target), *sorted(PACKAGES)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(target / name / "__init__.py") for name in sorted(PACKAGES)]
