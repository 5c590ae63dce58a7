"""One benchmark of a judge: read the data, judge what has no verdict yet, measure, write the result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.datasets import DataSet, Loaded, load
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.judges import ROOM, bench_judges
from reagent_benchmarks.judging.lines import Line, baseline_lines
from reagent_benchmarks.judging.progress import JudgingProgress
from reagent_benchmarks.judging.report import Evidence, report
from reagent_benchmarks.judging.resume import Plan, begin, earlier_ids, read_verdicts, verdicts_file, write_json
from reagent_benchmarks.judging.sample import fingerprint, sampled
from reagent_benchmarks.judging.steps import constant_lines, only_failures
from reagent_sdk.cli.judging import judge_all
from reagent_sdk.cli.terminal import to_stderr
from reagent_sdk.cli.verdicts import VerdictFile
from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_sdk.judges.base import Judge, caveat_of
from reagent_sdk.records import Record
from reagent_sdk.verdict import Verdict


@dataclass(frozen=True)
class Request:
    """What to measure; see the options of `reagent bench judge`."""

    dataset: DataSet
    data: Path
    judge: str
    out: Path
    limit: int | None = None
    seed: int = 0
    repeats: int = 1
    max_chars: int | None = None
    concurrency: int = 4
    steps: bool = False


def run(request: Request) -> dict[str, Any]:
    """Runs a benchmark, or goes on with it, and writes the result to `request.out`.

    Returns:
        The result as it is written; with `complete` false, and not written, when the judge was given up because it was
        unavailable from the beginning.

    Raises:
        InvalidInput: bad data, an unknown judge, an `out` that belongs to something else, or scores of whole logs
            asked for where all work is wrong.
        MissingExtra: the packages that measure are not installed.
        WeightsUnavailable: the judge's weights are missing.
    """
    _needs_extra()
    if request.dataset is DataSet.WHO_AND_WHEN and not (request.steps or "steps:" in request.judge):
        raise InvalidInput(
            "all work of who_and_when is wrong, so that only labels of steps can be measured: add --steps"
        )
    loaded, items = _sample(request)
    return asyncio.run(_run(request, loaded, items))


def baselines(request: Request) -> dict[str, Line]:
    """What a judge has to beat: the lines that need none, over the items that would be judged.

    Raises:
        InvalidInput: bad data, or labels on a single question only.
        MissingExtra: the packages that measure are not installed.
    """
    _needs_extra()
    loaded, items = _sample(request)
    if only_failures(loaded.items):
        return constant_lines(items, seed=request.seed)
    lines, _ = baseline_lines(loaded.items, items, room=request.max_chars or ROOM, seed=request.seed)
    if not lines:
        raise InvalidInput(f"{request.data} holds labels on one question, and a baseline learns from other questions")
    return lines


def _sample(request: Request) -> tuple[Loaded, list[JudgedItem]]:
    loaded = load(request.dataset, request.data)
    items = sampled(loaded.items, request.limit, request.seed)
    if not items:
        raise InvalidInput(f"{request.data} holds nothing to judge: {loaded.left_out or 'the files are empty'}")
    return loaded, items


def _needs_extra() -> None:
    """Tells before anything is paid for.

    Raises:
        MissingExtra: numpy, scipy or scikit-learn are missing.
    """
    try:
        import reagent_sdk.calibration.baselines  # noqa: F401
    except ImportError:
        raise MissingExtra("measuring a judge", "calibrate") from None


async def _run(request: Request, loaded: Loaded, items: Sequence[JudgedItem]) -> dict[str, Any]:
    made = bench_judges(
        request.judge, seed=request.seed, repeats=request.repeats, max_chars=request.max_chars, steps=request.steps
    )
    judges = [one.judge for one in made]
    name = judges[0].name
    sidecar = verdicts_file(request.out)
    plan = Plan(
        dataset=request.dataset,
        judge=name,
        seed=request.seed,
        limit=request.limit,
        repeats=request.repeats,
        max_chars=request.max_chars,
        data_sha256=fingerprint(items),
        steps=request.steps,
    )
    try:
        begin(request.out, plan)
        known = earlier_ids(sidecar, name)
        complete = await judge_missing(judges, items, sidecar, known, request.concurrency)
    finally:
        for judge in judges:
            await judge.aclose()
    verdicts = read_verdicts(sidecar)
    if not complete:
        reason = next((one.reason for one in verdicts.values() if not one.scored), "")
        return {"complete": False, "reason": reason, "plan": plan}
    heard = [[verdicts[verdict_id(item, repeat)] for repeat in range(len(judges))] for item in items]
    caveat = caveat_of(judges[0])
    result = report(Evidence(plan, loaded, items, heard, made[0].room, caveat))
    write_json(request.out, result)
    return result


def verdict_id(item: JudgedItem, repeat: int) -> str:
    """The id of an item's verdict; the first repeat has the item's own."""
    return item.id if repeat == 0 else f"{item.id}#{repeat}"


async def judge_missing(
    judges: Sequence[Judge], items: Sequence[JudgedItem], sidecar: Path, known: set[str], concurrency: int
) -> bool:
    """Judges what has no verdict; False when the judge was unavailable from the beginning."""
    todo = [
        [
            Record(verdict_id(item, repeat), line, item.task, item.trajectory)
            for line, item in enumerate(items, start=1)
            if verdict_id(item, repeat) not in known
        ]
        for repeat in range(len(judges))
    ]
    total = sum(map(len, todo))
    if known:
        to_stderr(f"{len(known)} verdicts are in {sidecar} already; {total} to go")
    with VerdictFile(sidecar) as verdicts, JudgingProgress(total) as progress:
        for judge, records in zip(judges, todo, strict=True):

            def keep(record: Record, verdict: Verdict, name: str = judge.name) -> None:
                # under the name of the whole: a stand-in's verdict is one of the judge that it is measured as
                verdicts.add(record, verdict.model_copy(update={"judge": name}))
                progress.step()

            if records and not await judge_all(judge, iter(records), keep, concurrency=concurrency):
                return False
    return True
