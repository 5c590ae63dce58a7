"""One run of `reagent data annotate`: what it will cost, what is done already, the rest, and the set that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import Field

from reagent_sdk.budget import Budget, Meter
from reagent_sdk.cli.options import check_spec
from reagent_sdk.clients.base import ChatClient
from reagent_sdk.frozen import Settings
from reagent_sdk.messages import Message
from reagent_sdk.scope import Scope, entered
from reagent_sdk.secrets import redact
from reagent_sdk.specs import client_for
from reagent_training.annotating.estimate import Estimate, estimated
from reagent_training.annotating.report import ANNOTATED, UNAVAILABLE, AnnotateReport, Scores, reasons
from reagent_training.annotating.rows import has_human_targets, known_of, settled
from reagent_training.annotating.rubric import BLIND, TOLD
from reagent_training.annotating.teacher import Teacher, new_secret, teacher_settings
from reagent_training.data.card import Step, earlier_steps, publish, sha256_of
from reagent_training.data.files import is_parquet, read_set
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.bar import bar
from reagent_training.sampling.journal import Journal, held
from reagent_training.sampling.pool import PATIENCE, Patience, work_through
from reagent_training.sampling.prices import check_dollars

_FORMAT = 1
_CODE = "0" * 12
"""As long as the code of a frame: prompts of this length are sent."""


class AnnotateSettings(Settings):
    """How to annotate. All of it belongs to the set, and a run that goes on must be given the same."""

    teacher: str = Field(description="spec of a model")
    show_reference: bool = Field(True, description="tell the teacher what is known of the outcome")
    overwrite_targets: bool = Field(False, description="also of rows that people labelled")
    limit: int | None = Field(None, ge=1, description="only the first rows")
    max_tokens: int | None = Field(None, ge=1, description="longest reply of the teacher")


class Annotation:
    """The annotation of one set. Single use.

    Args:
        file: the set.
        out: the new set; a journal lies beside it until every row is settled.
        settings: how.
        budget: limits of this run.

    Raises:
        InvalidInput: the set is bad, the teacher unknown, or `out` was begun with other settings or is finished.
        WeightsUnavailable: local weights are missing.
    """

    def __init__(self, file: Path, out: Path, settings: AnnotateSettings, budget: Budget | None = None) -> None:
        is_parquet(out)
        check_spec(settings.teacher)
        self._file, self._out, self._settings, self._budget = file, out, settings, budget or Budget()
        self._spec = redact(settings.teacher)
        self._inputs = {file.name: sha256_of(file)}
        self._given: dict[str, Any] = {**settings.model_dump(mode="json", exclude_none=True), "teacher": self._spec}
        self._head = {"format": _FORMAT, "prompts": [TOLD, BLIND], "inputs": self._inputs, **self._given}
        self._journal = Journal(out, self._head)
        self._client: ChatClient = client_for(settings.teacher)
        self._how = teacher_settings(self._client, settings.max_tokens)
        self._secret = new_secret()
        self._patience = Patience(PATIENCE)
        self._meter = Meter(self._budget)
        self._last_failure = ""

    async def estimate(self) -> Estimate:
        """What the rows that are left will take. Nothing is asked, and nothing is written.

        Raises:
            InvalidInput: the set is bad, or a limit in dollars could not be kept.
        """
        await check_dollars(self._budget.usd, [(self._settings.teacher, self._client)])
        return await estimated(map(self._prompt, self._todo()), self._settings.teacher, self._client, self._how)

    async def run(self, concurrency: int = 4) -> AnnotateReport:
        """Asks about the rows that are left, as far as the budget goes, and writes the set.

        Args:
            concurrency: rows under way at a time.

        Raises:
            InvalidInput: another run is at work on `out`.
            WeightsUnavailable: local weights cannot be loaded.
            MissingExtra: a package is not installed.
        """
        with held(self._out):
            self._journal = Journal(self._out, self._head)  # anew: another run may have gone on in between
            self._patience = Patience(max(PATIENCE, concurrency))
            earlier = sum(status != UNAVAILABLE for status in self._journal.status.values())
            left = sum(1 for _ in self._todo())
            with entered(Scope(meter=self._meter, stage="judge")), bar("annotating", earlier, earlier + left) as move:

                async def work(record: LabelledTrajectory) -> None:
                    if not self._patience.over:
                        await self._annotate(record)
                        move(str(self._meter.usage))

                stopped = await work_through(self._todo(), work, concurrency=concurrency)
            return self._finish(earlier, stopped)

    async def aclose(self) -> None:
        """Closes the teacher."""
        await self._client.aclose()

    def _rows(self) -> Iterator[LabelledTrajectory]:
        return islice(read_set(self._file), self._settings.limit)

    def _todo(self) -> Iterator[LabelledTrajectory]:
        done = {key for key, status in self._journal.status.items() if status != UNAVAILABLE}
        return (one for one in self._rows() if one.id not in done and not self._stays(one))

    def _stays(self, record: LabelledTrajectory) -> bool:
        return has_human_targets(record) and not self._settings.overwrite_targets

    def _teacher(self, record: LabelledTrajectory) -> Teacher:
        show = self._settings.show_reference
        return Teacher(self._client, self._how, secret=self._secret, known=known_of(record), show=show)

    def _prompt(self, record: LabelledTrajectory) -> list[Message]:
        asked, room = self._teacher(record).asked, self._how.max_chars
        return asked.messages(record.task, record.trajectory, code=_CODE, max_chars=room)[0]

    async def _annotate(self, record: LabelledTrajectory) -> None:
        teacher = self._teacher(record)
        verdict = await teacher.judge(record.task, record.trajectory)
        if verdict.leaks:
            self._meter.require_room()  # where it could not be asked again, the row is left for the next run
        entry = settled(record, verdict, teacher, self._spec)
        self._journal.add(entry)
        self._patience.heard(answered=entry.status != UNAVAILABLE)
        self._last_failure = entry.reason or self._last_failure

    def _finish(self, earlier: int, stopped: str | None) -> AnnotateReport:
        status, scores = self._journal.status, Scores()
        rows = kept = 0
        for record in self._rows():
            rows, kept = rows + 1, kept + self._stays(record)
            if status.get(record.id) == ANNOTATED:
                scores.add(self._new(record))
        report = AnnotateReport(
            out=self._out,
            rows=rows,
            annotated=sum(one == ANNOTATED for one in status.values()),
            kept=kept,
            without=reasons(status.values()),
            not_done=rows - kept - len(status),
            complete=len(status) + kept == rows and UNAVAILABLE not in status.values(),
            asked_now=self._patience.tried,
            failed_now=self._patience.failed,
            earlier=earlier,
            mean_score_right=scores.mean(correct=True),
            mean_score_wrong=scores.mean(correct=False),
            off_scale=scores.off_scale,
            stopped=stopped,
            last_failure=self._last_failure,
            usage=self._meter.usage,
        )
        if report.annotated or report.complete:
            step = Step(command="annotate", inputs=self._inputs, settings=self._given, left_out=report.left_out)
            publish(map(self._new, self._rows()), self._out, (*earlier_steps(self._file), step))
        if report.complete:
            self._journal.remove()
        return report

    def _new(self, record: LabelledTrajectory) -> LabelledTrajectory:
        """The annotated row; the row as it was where there is none."""
        return self._journal.row(record.id) or record
