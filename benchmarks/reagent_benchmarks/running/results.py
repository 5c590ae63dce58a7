"""Rows of results out of the logs of inspect_ai."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_benchmarks.running.arms import Arm
from reagent_benchmarks.running.question import ArmRun
from reagent_sdk.errors import InvalidInput

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

_UNREAD = {"events", "events_data", "timelines", "messages", "output"}
"""Fields of samples that hold nothing of ours, and most of the bytes."""


def results_of(logs: Iterable[Path | str], *, runs: bool = True) -> list[ArmResult]:
    """A row for each question, epoch and arm.

    A question that was tried more than once counts once: by its last success, else by its last failure.

    Args:
        logs: logs, or folders of them.
        runs: whether rows hold their whole runs; tables need none.

    Raises:
        InvalidInput: there is no log there, or one that cannot be read or is of something else.
    """
    found: dict[tuple[str, str, int, int], tuple[bool, list[ArmResult]]] = {}
    for header in sorted(_headers(log_files(logs)), key=lambda one: one.eval.created):
        for sample in _samples(header):
            rows = list(_rows(header, sample, runs=runs))
            if not rows:
                continue
            key = (rows[0].benchmark, rows[0].sample, rows[0].epoch, rows[0].seed)
            succeeded = sample.error is None
            if succeeded or key not in found or not found[key][0]:
                found.pop(key, None)
                found[key] = (succeeded, rows)
    return [row for key in sorted(found) for row in found[key][1]]


def log_files(given: Iterable[Path | str]) -> list[Path]:
    """The logs that are meant.

    Raises:
        InvalidInput: there is none.
    """
    files: list[Path] = []
    for one in map(Path, given):
        if not one.exists():
            raise InvalidInput(f"there is no {one}; pass a log of inspect_ai or a folder of them")
        inside = sorted(one.rglob("*.eval")) if one.is_dir() else [one]
        if not inside:
            raise InvalidInput(f"there is no log (*.eval) in {one}; `reagent bench run ... --out {one}` writes some")
        files += inside
    return list(dict.fromkeys(files))


def _headers(files: Iterable[Path]) -> Iterator[EvalLog]:
    from inspect_ai.log import read_eval_log

    for file in files:
        try:
            header = read_eval_log(str(file), header_only=True)
        except Exception as error:  # zip, JSON and schema errors of many kinds
            raise InvalidInput(f"{file} cannot be read as a log of inspect_ai: {type(error).__name__}") from None
        header.location = str(file)
        yield header


def _samples(header: EvalLog) -> Iterator[EvalSample]:
    """The samples of a log that were worked on.

    The log's table of contents is read once. `read_eval_log_samples` reads it for every sample, which takes a quarter
    of an hour for 10,000 of them.
    """
    from anyio.from_thread import start_blocking_portal
    from inspect_ai._util.async_zip import AsyncZipReader
    from inspect_ai._util.asyncfiles import AsyncFilesystem
    from inspect_ai.log import read_eval_log_sample_async

    where, epochs = header.location, range(1, (header.eval.config.epochs or 1) + 1)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(AsyncFilesystem()) as files:
        read = partial(read_eval_log_sample_async, exclude_fields=_UNREAD, reader=AsyncZipReader(files, where))
        for name in header.eval.dataset.sample_ids or ():
            for epoch in epochs:
                try:
                    sample = portal.call(read, where, name, epoch)
                except IndexError:
                    continue
                yield sample


def _rows(header: EvalLog, sample: EvalSample, *, runs: bool) -> Iterator[ArmResult]:
    facts = {name: score.metadata or {} for name, score in (sample.scores or {}).items()}
    made = _made(header, sample)
    for arm in Arm:
        if arm in made:
            yield _row(header, sample, ArmRun.model_validate_json(made[arm]), facts.get(arm, {}), runs=runs)


def _made(header: EvalLog, sample: EvalSample) -> dict[str, str]:
    """The arms' runs of a sample, which one of a killed process has in its events alone."""
    from inspect_ai.event import InfoEvent
    from inspect_ai.log import read_eval_log_sample

    from reagent_benchmarks.running.inspect_task import RUNS

    if RUNS in sample.store:
        return dict(sample.store[RUNS])
    whole = read_eval_log_sample(header.location, sample.id, sample.epoch, resolve_attachments="full")
    told = [event.data for event in whole.events if isinstance(event, InfoEvent) and event.source == RUNS]
    last = told[-1] if told else {}
    return {arm: text for arm, text in last.items() if isinstance(text, str)} if isinstance(last, dict) else {}


def _row(header: EvalLog, sample: EvalSample, own: ArmRun, facts: dict[str, Any], *, runs: bool) -> ArmResult:
    outcome, why = _outcome(own, facts)
    run, metadata = own.run, sample.metadata or {}
    name = (header.eval.task_registry_name or header.eval.task).rpartition("/")[2]
    target = sample.target if isinstance(sample.target, list) else [sample.target]
    marks = {"benchmark": name, "epoch": sample.epoch, "arm": own.arm.value, "outcome": outcome.value}
    task = run.task.model_copy(update={"metadata": {**run.task.metadata, **marks}})
    return ArmResult(
        benchmark=name,
        sample=str(sample.id),
        group=str(metadata.get("group") or ""),
        epoch=sample.epoch,
        seed=int(header.eval.task_args.get("seed") or 0),
        arm=own.arm.value,
        outcome=outcome,
        why=why,
        answer=run.answer if run.answer is not None or not outcome.graded else "",
        references=tuple(target),
        first=Outcome(facts["first"]) if "first" in facts else None,
        judge_failed=own.judge_failed,
        score=run.score,
        attempts=len(run.attempts),
        calls=run.usage.calls,
        tokens=run.usage.known_tokens,
        cost_usd=run.usage.cost_usd,
        seconds=run.seconds,
        run=run.model_copy(update={"task": task}) if runs else None,
    )


def _outcome(own: ArmRun, facts: dict[str, Any]) -> tuple[Outcome, str]:
    if "outcome" in facts:
        return Outcome(facts["outcome"]), str(facts.get("why") or "")
    if own.failed is not None:
        return own.failed, own.why
    return Outcome.GRADER_FAILED, "the log has no score for this arm"
