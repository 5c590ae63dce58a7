"""What a benchmark leaves behind, and how it goes on from there after an interruption."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reagent_sdk.cli.verdicts import Scored, read_earlier, repair
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.replacing import replacing
from reagent_sdk.verdict import Verdict


class Plan(Frozen):
    """What is measured. Two runs of the same plan are one run, and may be interrupted and go on."""

    dataset: str
    judge: str
    seed: int
    limit: int | None
    repeats: int
    max_chars: int | None
    data_sha256: str
    steps: bool = False


def verdicts_file(out: Path) -> Path:
    """Where the verdicts go, one a line, as `reagent score` writes them."""
    return out.with_suffix(".verdicts.jsonl")


def begin(out: Path, plan: Plan) -> None:
    """Writes the plan where the results will be, or checks that an earlier run had the same one.

    Raises:
        InvalidInput: the file, or the verdicts beside it, belong to something else.
    """
    sidecar = verdicts_file(out)
    if not out.exists():
        if sidecar.exists():
            raise InvalidInput(f"{sidecar} is there and {out} is not; move it away, or pass another --out")
        write_json(out, {"complete": False, "plan": plan})
        return
    try:
        earlier = Plan.model_validate(json.loads(out.read_text(encoding="utf-8"))["plan"])
    except (ValueError, KeyError, TypeError):
        raise InvalidInput(f"{out} is not a result of `reagent bench judge`; pass another --out") from None
    for name, was in earlier:
        if was != (now := getattr(plan, name)):
            what = "the data have changed since" if name == "data_sha256" else f"it has {name} {was!r}, not {now!r}"
            raise InvalidInput(f"{out} is of another run: {what}; pass another --out")


def earlier_ids(sidecar: Path, judge: str) -> set[str]:
    """Ids that have a verdict; the file is mended first. Verdicts of an unavailable judge go, to be asked for again.

    Raises:
        InvalidInput: the file holds something else, or verdicts of another judge.
    """
    lines: dict[str, int] = {}

    def heard(key: str, line: int) -> bool:
        return lines.setdefault(key, line) == line

    if sidecar.exists():
        earlier = read_earlier(sidecar, [judge], heard)
        if earlier.open_end or earlier.again or earlier.doubled:
            repair(sidecar, lambda key, line: lines.get(key) == line)
    return set(lines)


def read_verdicts(sidecar: Path) -> dict[str, Verdict]:
    """The verdicts by id."""
    if not sidecar.exists():
        return {}
    found = (Scored.model_validate_json(line) for line in sidecar.read_bytes().splitlines() if line.strip())
    return {one.id: one.verdict for one in found}


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a file in one step: a reader finds the old one or the new one."""
    from pydantic_core import to_jsonable_python

    with replacing(path) as draft:
        draft.write(json.dumps(to_jsonable_python(data), indent=1).encode() + b"\n")
