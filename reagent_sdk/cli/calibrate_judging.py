"""The judge's verdicts on labelled work: those that are there already, and the rest from the judge itself."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from reagent_sdk.calibration.labels import Labelled, LabelledWork
from reagent_sdk.cli.record_file import RecordFile
from reagent_sdk.cli.scoring import local_engine, score_records
from reagent_sdk.cli.tally import Tally
from reagent_sdk.cli.verdicts import Scored
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import gated_judge
from reagent_sdk.judges.calibrated import CalibratedJudge
from reagent_sdk.judges.model import ModelJudge
from reagent_sdk.specs import judge_for
from reagent_sdk.verdict import Verdict


@dataclass(frozen=True)
class Asked:
    """The judge that is calibrated.

    Attributes:
        name: as on its verdicts.
        spec: how to make it; None when only its name is known.
        prompt_version: None where only its verdicts can tell.
    """

    name: str
    spec: str | None = None
    prompt_version: str | None = None


@dataclass(frozen=True)
class JudgedWork:
    """Labelled work, and what the judge said of it.

    Attributes:
        judge: who judged, with the prompt version of its verdicts.
        scored: the work that has a score, as `scores` has.
        scores: the judge's own scores, before any map.
        unscored: how many have none, by the status of their verdicts.
        tally: of the session that judged what had no verdict; None where all had one.
    """

    judge: Asked
    scored: tuple[Labelled, ...]
    scores: tuple[float, ...]
    unscored: Counter[str]
    tally: Tally | None = None


def asked_judge(spec: str) -> Asked:
    """The judge of a spec.

    Raises:
        InvalidInput: the spec names no judge, or one that is calibrated already.
        WeightsUnavailable: its weights are missing.
    """
    judge = judge_for(spec)
    if isinstance(judge, CalibratedJudge):
        raise InvalidInput(
            f"{spec} is calibrated already; calibrate the judge itself, and if a calibration.json lies beside its "
            "weights, move that away first"
        )
    version = judge.prompt_version if isinstance(judge, ModelJudge) else None
    return Asked(gated_judge(judge), spec, version)


def judge_of_rows(rows: Sequence[Labelled]) -> Asked:
    """The judge that rows which carry their scores name.

    Raises:
        InvalidInput: they name none, or several.
    """
    named = {(row.verdict.judge, row.verdict.prompt_version) for row in rows if row.verdict is not None}
    if len(named) != 1 or not next(iter(named))[0]:
        raise InvalidInput('which judge gave these scores? Pass --judge SPEC, or write one "judge" into all rows')
    name, version = named.pop()
    return Asked(name, None, version)


async def judge_work(work: LabelledWork, judge: Asked, verdicts: Path, *, concurrency: int) -> JudgedWork:
    """Takes the verdicts that there are, has the rest judged, and sorts out what has a score.

    Raises:
        InvalidInput: rows that name another judge; a file of verdicts by another judge or prompt version.
        WeightsUnavailable: the judge's weights are missing.
    """
    rows = [replace(row, verdict=_usable(row, judge)) for row in work.rows]
    todo = {row.line for row in rows if row.verdict is None}
    tally: Tally | None = None
    if todo and judge.spec is not None:
        lines = (line.rstrip(b"\n") if number in todo else b"" for number, line in enumerate(work.lines, start=1))
        try:
            with RecordFile(io.BytesIO(b"\n".join(lines) + b"\n"), "the labelled work") as file:
                tally = await score_records(file, judge.spec, verdicts, local_engine(concurrency))
        except InvalidInput as error:  # its option for this file has another name here
            raise InvalidInput(str(error).replace("--out", "--verdicts")) from None
        found = _read(verdicts)
        rows = [replace(row, verdict=found.get(row.id)) if row.line in todo else row for row in rows]
    return _sorted(rows, judge, tally)


def _usable(row: Labelled, judge: Asked) -> Verdict | None:
    """The verdict that the row came with; None where its work is to be judged.

    Raises:
        InvalidInput: the row carries another judge's score.
    """
    verdict = row.verdict
    if verdict is None:
        return None
    if verdict.bare_score is not None and verdict.judge == f"{judge.name}, calibrated":
        verdict = verdict.model_copy(update={"score": verdict.bare_score, "bare_score": None, "judge": judge.name})
    same_prompt = not verdict.prompt_version or judge.prompt_version in (None, verdict.prompt_version)
    same = verdict.judge in ("", judge.name) and same_prompt
    if not row.scored_row:
        return verdict if same and verdict.scored else None
    if not same:
        raise InvalidInput(
            f"the score of {row.id!r} is by {verdict.judge or 'a judge'} under the prompt {verdict.prompt_version!r}, "
            f"not by {judge.name} under {judge.prompt_version!r}; such scores cannot be compared"
        )
    return verdict


def _read(path: Path) -> dict[str, Verdict]:
    """Verdicts by id, from a file that was checked just now."""
    found: dict[str, Verdict] = {}
    with path.open("rb") as file:
        for line in file:
            try:
                scored = Scored.model_validate_json(line)
            except ValidationError:
                continue
            found[scored.id] = scored.verdict
    return found


def _sorted(rows: Sequence[Labelled], judge: Asked, tally: Tally | None) -> JudgedWork:
    unscored: Counter[str] = Counter()
    scored: list[tuple[Labelled, float]] = []
    versions = set()
    for row in rows:
        verdict = row.verdict
        if verdict is None or verdict.score is None:
            unscored["not judged" if verdict is None else verdict.status.value] += 1
        elif verdict.judge not in ("", judge.name):
            unscored["stand-in judge"] += 1
        else:
            scored.append((row, verdict.score))
            versions.add(verdict.prompt_version)
    versions -= {""}
    known = versions | ({judge.prompt_version} if judge.prompt_version else set())
    if len(known) > 1:
        raise InvalidInput(
            f"there are verdicts under the prompt versions {', '.join(sorted(known))}, which cannot be compared; "
            "pass another file as --verdicts"
        )
    judge = replace(judge, prompt_version=next(iter(known), ""))
    return JudgedWork(judge, tuple(row for row, _ in scored), tuple(score for _, score in scored), unscored, tally)
