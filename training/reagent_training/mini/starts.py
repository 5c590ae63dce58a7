"""A run that starts where another one did: the same tasks, base, agent after SFT and judge, and other arms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_training.mini.places import Places, finished

_OF_ARMS = ("name", "equal_tokens", "rl", "judge")
_MEASURED_WITH = ("max_tokens", "rollout")


def take_starts(mine: dict[str, Any], places: Places, other: Path) -> None:
    """Links what another run began with, and copies what it measured of that.

    Args:
        mine: settings of this run, as in its file.
        places: of this run.
        other: folder of the other run.

    Raises:
        InvalidInput: the other run has not come that far, its settings differ in more than what only the arms depend
            on (`judge.weight`, `equal_tokens`, `rl` without tools and limits), or this run has such a part of its own.
    """
    there = Places(other.resolve())
    if not there.settings.is_file():
        raise InvalidInput(f"{other} holds no reproduction: {there.settings.name} is missing")
    theirs, wanted = _begun_with(json.loads(there.settings.read_text(encoding="utf-8"))), _begun_with(mine)
    for name, value in wanted.items():
        if theirs.get(name) != value:
            raise InvalidInput(f"{other} began with another {name}: {theirs.get(name)} there, {value} here")
    if not (finished(there.agent) and finished(there.judge)):
        raise InvalidInput(f"{other} has not trained its agent and its judge yet; finish that run first")
    places.measured.mkdir(parents=True, exist_ok=True)
    for source in (there.world, there.base, there.agent, there.judge):
        if source.is_dir():
            _link(source, places.out / source.name)
    for name in ("base", "sft"):
        for rows in there.measured.glob(f"{name}-*.jsonl"):
            shutil.copyfile(rows, places.measured / rows.name)


def _begun_with(told: dict[str, Any]) -> dict[str, Any]:
    """The settings that an agent after SFT, its judge and their measurement depend on."""
    judge = {name: value for name, value in told["judge"].items() if name != "weight"}
    measured = {f"rl.{name}": told["rl"].get(name) for name in _MEASURED_WITH}
    return {name: value for name, value in told.items() if name not in _OF_ARMS} | {"judge": judge} | measured


def _link(source: Path, target: Path) -> None:
    if target.is_symlink() and target.samefile(source):
        return
    if target.is_symlink() or target.exists():
        raise InvalidInput(f"{target} is there already; name an empty folder for this run")
    target.symlink_to(source, target_is_directory=True)
