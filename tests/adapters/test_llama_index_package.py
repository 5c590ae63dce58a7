"""The package in LlamaIndex's own namespace, and what its page and ours say."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core")

from reagent_adapters import llama_index
from reagent_adapters.versions import SUPPORTED

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "adapters" / "llama-index-agent-reagent"
PAGES = [PACKAGE / "README.md", ROOT / "docs" / "adapters" / "llama_index.md"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and laid out as pip would."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(PACKAGE)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = folder.glob("*.whl")
    assert wheel.name == "llama_index_agent_reagent-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def python(site: Path, *words: str) -> str:
    """Runs python with the package, as installed, next to everything else."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT), str(ROOT / "adapters")])}
    done = subprocess.run(
        [sys.executable, *words], cwd=site, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_adds_its_names_to_the_namespace_and_nothing_else(installed: Path) -> None:
    files = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    assert {name for name in files if ".dist-info/" not in name} == {
        "llama_index/agent/reagent/__init__.py",
        "llama_index/agent/reagent/py.typed",
    }
    told = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))
    hub = told["tool"]["llamahub"]
    assert hub["import_path"] == "llama_index.agent.reagent"
    code = (
        f"import {hub['import_path']} as package, llama_index.core, reagent_adapters.llama_index as ours\n"
        "assert package.CritiqueAgent is ours.CritiqueAgent\n"
        "print(package.__file__, *package.__all__)\n"
    )
    path, *names = python(installed, "-c", code).split()
    assert Path(path).is_relative_to(installed)
    assert names == llama_index.__all__
    assert set(hub["class_authors"]) <= set(names)
    assert f"llama-index-core{SUPPORTED['llama-index-core']}" in told["project"]["dependencies"]


def test_the_packages_own_tests_pass(installed: Path) -> None:
    assert "2 passed" in python(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(PACKAGE / "tests"))


@pytest.mark.parametrize("page", PAGES, ids=["README", "page"])
def test_the_examples_of_the_pages_run(page: Path, installed: Path, tmp_path: Path) -> None:
    blocks = page.read_text(encoding="utf-8").split("```python\n")[1:]
    assert blocks
    script = tmp_path / "example.py"
    script.write_text("\n".join(block.split("```")[0] for block in blocks), encoding="utf-8")
    assert "Returned attempt 1 of " in python(installed, str(script))
