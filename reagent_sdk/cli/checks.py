"""What `reagent doctor` looks at on this machine: Python, packages, folders, weights."""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from reagent_sdk import home
from reagent_sdk.cli.options import unwritable

DISTRIBUTION = "reagent-sdk"
_HIDDEN_EXTRAS = {"dev"}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")

Status = Literal["ok", "fail", "info"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; `fix` says what to do about a failure."""

    name: str
    status: Status
    detail: str
    fix: str = ""


def machine_checks(log: Path) -> list[Check]:
    """All checks that need no model."""
    return [_python(), *_packages(), _home(), _weights(), _log(log)]


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check("python", "ok", f"{version} ({sys.executable})")


def _packages() -> list[Check]:
    """The dependencies in one line, and each extra in one; from what pip recorded, without importing any."""
    try:
        own, required = metadata.version(DISTRIBUTION), metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return [Check("packages", "fail", f"{DISTRIBUTION} is not installed", f"pip install {DISTRIBUTION}")]
    groups: dict[str, list[str]] = defaultdict(list)
    for requirement in required:
        named, extra = _REQUIREMENT.match(requirement), _EXTRA.search(requirement)
        if named and named[1] != DISTRIBUTION:
            groups[extra[1] if extra else ""].append(named[1])
    shown = [_group(extra, names) for extra, names in sorted(groups.items()) if extra not in _HIDDEN_EXTRAS]
    return [Check(DISTRIBUTION, "ok", own), *shown]


def _group(extra: str, names: list[str]) -> Check:
    versions = {name: _version(name) for name in names}
    detail = ", ".join(f"{name} {version or 'MISSING'}" for name, version in versions.items())
    if not extra:
        missing = [name for name, version in versions.items() if version is None]
        fix = f"pip install {' '.join(missing)}" if missing else ""
        return Check("packages", "fail" if missing else "ok", detail, fix)
    if all(versions.values()):
        return Check(f"extra {extra}", "ok", detail)
    return Check(f"extra {extra}", "info", f"not installed: pip install '{DISTRIBUTION}[{extra}]'")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _home() -> Check:
    given = os.environ.get("REAGENT_HOME")
    weights, runs = home.models_dir(), home.runs_file()
    detail = given or f"not set: weights in {weights}, runs in {runs.parent}"
    return Check("$REAGENT_HOME", "ok", detail)


def _weights() -> Check:
    from reagent_sdk import models
    from reagent_sdk.errors import WeightsUnavailable
    from reagent_sdk.local_specs import DEFAULT_MODEL

    try:
        path = models.find(DEFAULT_MODEL)
    except WeightsUnavailable as error:
        return Check("weights", "info", str(error))
    with_package = [one.name for one in models.SHIPPED.values() if one.gguf.is_file()]
    ours = f"; with this package: {', '.join(with_package)}" if with_package else ""
    return Check("weights", "ok", f"{DEFAULT_MODEL}, checksum verified: {path}{ours}")


def _log(path: Path) -> Check:
    wrong = unwritable(path)
    if wrong:
        return Check("run log", "fail", f"{path}: {wrong}", "set REAGENT_HOME to a folder that you may write")
    return Check("run log", "ok", f"{path}{'' if path.exists() else ' (will be created)'}")
