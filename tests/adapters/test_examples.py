"""Every example runs as a user would run it, without network and without keys."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def missing(path: Path) -> list[str]:
    """Packages that an example imports at its top and that this environment does not have."""
    named = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module)
    return sorted(name for name in named if not name.startswith("reagent_") and not found(name))


def found(name: str) -> bool:
    """Whether a module's package is installed; in a namespace such as google, which several share, its part of it."""
    top, *rest = name.split(".")
    spec = find_spec(top)
    shared = spec is not None and spec.origin is None and rest
    return find_spec(f"{top}.{rest[0]}") is not None if shared else spec is not None


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_it_runs(path: Path, tmp_path: Path) -> None:
    if lacking := missing(path):
        pytest.skip(f"{', '.join(lacking)} not installed here")
    environment = {name: value for name, value in os.environ.items() if "KEY" not in name}
    environment |= {"REAGENT_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "LANGSMITH_TRACING": "false"}
    done = subprocess.run(
        [sys.executable, str(path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "an example shows something"
