from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reagent_sdk

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "litellm", "aiohttp", "xllamacpp", "openai", "reagent_adapters", "rich", "typer")


def test_all_is_exactly_what_can_be_imported() -> None:
    names = reagent_sdk.__all__
    assert len(names) == len(set(names))
    assert set(names) == set(reagent_sdk._HOME)
    assert all(getattr(reagent_sdk, name).__doc__ for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        reagent_sdk.nothing  # noqa: B018


def test_the_version_is_the_distributions() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{reagent_sdk.__version__}"' in text


@pytest.mark.parametrize("statement", ["import reagent_sdk", "from reagent_sdk import with_critique, Budget, Run"])
def test_importing_is_light(statement: str) -> None:
    code = f"import sys\n{statement}\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_arrows_point_one_way() -> None:
    for path in (ROOT / "reagent_sdk").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not re.match(r"(reagent_(adapters|training|benchmarks)|adapters|training|benchmarks)\b", name)
