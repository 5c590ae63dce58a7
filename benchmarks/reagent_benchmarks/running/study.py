"""One benchmark with one agent and one judge: run, resumed, read."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.running.call_journal import CallJournal
from reagent_benchmarks.running.calls import keeping
from reagent_benchmarks.running.parts import in_parts
from reagent_benchmarks.running.results import log_files, results_of
from reagent_sdk.cli.terminal import to_stderr
from reagent_sdk.errors import InvalidInput
from reagent_sdk.record_line import encode
from reagent_sdk.replacing import replacing

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

RUN_LOG = "runs.jsonl"
"""The run log beside the logs."""
CALLS = "calls.jsonl"
"""Replies of models, until no question is left to ask."""
_LOCK = ".lock"


@dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        name: of the benchmark.
        out: the folder for the logs.
        arguments: of the task, see `inspect_tasks.task_of`; what they are says whether two studies are the same.
        epochs: how often each question is asked.
        concurrency: questions under way at a time.
    """

    name: str
    out: Path
    arguments: dict[str, Any]
    epochs: int = 1
    concurrency: int = 8


def run(study: Study, *, display: Literal["rich", "none"] = "none") -> list[ArmResult]:
    """Runs a study, or goes on with it where it was interrupted; what has a result or a reply is not asked again.

    Args:
        study: what is run.
        display: whether inspect_ai shows its progress, on stderr.

    Returns:
        All rows, with their runs, which are also written to a run log beside the logs.

    Raises:
        InvalidInput: the arguments cannot work, the folder holds another study, or another process works on it.
    """
    study.out.mkdir(parents=True, exist_ok=True)
    with _locked(study.out):
        _check(study)
        with keeping(CallJournal(study.out / CALLS)) as journal:
            if _evaluate(study, display):
                journal.remove()
        rows = results_of([study.out])
        export(rows, study.out / RUN_LOG)
    return rows


def export(rows: Sequence[ArmResult], file: Path) -> int:
    """Writes the runs of rows as a run log, in one step.

    Returns:
        How many there are.
    """
    runs = [row.run for row in rows if row.run is not None]
    with replacing(file, mode=0o600) as draft:
        for one in runs:
            draft.write(encode(one))
    return len(runs)


def _evaluate(study: Study, display: Literal["rich", "none"]) -> bool:
    """Works on what has no result; False when there is still such a question."""
    from inspect_ai import eval_set

    from reagent_benchmarks.inspect_tasks import TASKS

    ended = []
    for part in in_parts(TASKS[study.name](**study.arguments), study.out, study.epochs):
        if part.of > 1:
            to_stderr(f"part {part.number} of {part.of}")
        with contextlib.redirect_stdout(sys.stderr):
            done, _ = eval_set(
                part.task,
                log_dir=str(part.folder),
                retry_attempts=1,
                retry_immediate=False,  # what failed is tried again when the user asks for it, not at once
                model=None,
                epochs=study.epochs,
                max_samples=study.concurrency,
                display=display,
                log_level="error",
                ctl_server=False,
                log_dir_allow_dirty=True,
            )
        ended.append(bool(done))
    return all(ended)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield
    except Timeout:
        raise InvalidInput(
            f"another process is running a benchmark in {folder}; wait for it, or pass another --out"
        ) from None


def _check(study: Study) -> None:
    """Refuses a folder that holds something else."""
    if not any(study.out.rglob("*.eval")):
        (study.out / CALLS).unlink(missing_ok=True)  # of a study whose logs were taken away, to begin anew
        return
    from inspect_ai.log import read_eval_log

    for file in log_files([study.out]):
        was = read_eval_log(str(file), header_only=True)
        if difference := _difference(study, was):
            raise InvalidInput(f"{study.out} holds another run: {difference}; pass another --out")


def _difference(study: Study, was: EvalLog) -> str:
    name = (was.eval.task_registry_name or was.eval.task).rpartition("/")[2]
    if name != study.name:
        return f"it is of {name}, not {study.name}"
    if (was.eval.config.epochs or 1) != study.epochs:
        return f"it has {was.eval.config.epochs or 1} epochs, not {study.epochs}"
    earlier = was.eval.task_args_passed
    for key, value in study.arguments.items():
        if earlier.get(key) != value:
            return f"it has {key} {earlier.get(key)!r}, not {value!r}"
    return ""
