"""One run of `reagent data sample`: what is done already, the rest, and the set that comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pydantic import Field

from reagent_sdk.budget import Budget, Meter
from reagent_sdk.cli.terminal import to_stderr
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Settings
from reagent_sdk.scope import Scope, entered
from reagent_sdk.secrets import redact
from reagent_training.data.card import Step, publish
from reagent_training.data.files import is_parquet
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.arms import NO_TOOLS, OWN_TOOLS, Crew, Places, arms_of
from reagent_training.sampling.bar import bar
from reagent_training.sampling.journal import Entry, Journal, held
from reagent_training.sampling.pool import PATIENCE, Patience, work_through
from reagent_training.sampling.prices import check_dollars
from reagent_training.sampling.questions import QuestionSet, read_question_set
from reagent_training.sampling.report import SampleReport, by_arm
from reagent_training.sampling.rollout import FAILED, Rollout, planned, rolled_out

_FORMAT = 1


class SampleSettings(Settings):
    """What to sample. All of it belongs to the set, and a run that goes on must be given the same."""

    agents: tuple[str, ...] = Field(min_length=1, description="specs of models")
    temperatures: tuple[float, ...] = Field((0.7,), min_length=1)
    tools: tuple[str, ...] = Field((), description="tool sets; by default each question's own, or none")
    samples: int = Field(1, ge=1, description="attempts of each agent at each question and temperature")
    limit: int | None = Field(None, ge=1, description="only the first questions")
    seed: int = 0
    max_tokens: int | None = Field(None, ge=1, description="longest reply of a model")
    source: str | None = Field(None, description="name of the rows' source")
    corpus: Path | None = None
    root: Path = Path()


class Pace(Settings):
    """How fast, and within which limits. A run that goes on may be given others."""

    budget: Budget = Budget()
    concurrency: int = Field(4, ge=1, description="rollouts under way at a time")
    seconds: float = Field(600.0, gt=0, allow_inf_nan=False, description="limit for each rollout")


async def sample(questions: Path, out: Path, settings: SampleSettings, pace: Pace | None = None) -> SampleReport:
    """Lets agents work on questions and writes their graded work, as far as the budget goes.

    Args:
        questions: lines of questions and answers, or a folder of generated tasks.
        out: the set; a journal lies beside it until every rollout has an answer.
        settings: who, and how often.
        pace: limits of this run.

    Raises:
        InvalidInput: the questions or a setting cannot work, or `out` was begun with other settings or is finished.
        WeightsUnavailable: local weights are missing.
        MissingExtra: a package is not installed.
    """
    is_parquet(out)
    pace = pace or Pace()
    asked = read_question_set(questions, limit=settings.limit, source=settings.source)
    tool_sets = settings.tools or ((OWN_TOOLS,) if asked.with_tools else (NO_TOOLS,))
    if OWN_TOOLS in tool_sets and not asked.with_tools:
        raise InvalidInput("--tools own is for folders of `reagent data synth`; name the tools, such as python")
    arms = arms_of(settings.agents, settings.temperatures, tool_sets)
    plan = list(planned(asked.questions, arms, settings.samples, settings.seed))
    with held(out):
        journal = Journal(out, _told(settings, tool_sets, asked))
        crew = Crew(arms, Places(settings.corpus, settings.root, settings.max_tokens))
        async with aclosing(crew):
            await check_dollars(pace.budget.usd, list(crew.clients.items()))
            return await _Session(out, plan, journal, pace).run(crew, _step(settings, tool_sets, asked))


class _Session:
    """One run under way."""

    def __init__(self, out: Path, plan: list[Rollout], journal: Journal, pace: Pace) -> None:
        self._out, self._plan, self._journal, self._pace = out, plan, journal, pace
        self._patience = {one.arm.agent: Patience(max(PATIENCE, pace.concurrency)) for one in plan}
        self._last_failure = ""

    async def run(self, crew: Crew, step: Step) -> SampleReport:
        status = self._journal.status
        earlier = sum(status.get(one.key, FAILED) != FAILED for one in self._plan)
        if earlier:
            to_stderr(f"{earlier} of {len(self._plan)} rollouts are done already")
        meter = Meter(self._pace.budget)
        with entered(Scope(meter=meter)), bar("sampling", earlier, len(self._plan)) as move:

            async def work(rollout: Rollout) -> None:
                if self._patience[rollout.arm.agent].over:
                    return
                entry = await rolled_out(rollout, crew, self._pace.seconds)
                self._keep(rollout, entry)
                move(str(meter.usage))

            todo = (one for one in self._plan if status.get(one.key, FAILED) == FAILED)
            stopped = await work_through(todo, work, concurrency=self._pace.concurrency)
        return self._finish(step, stopped, earlier, meter)

    def _keep(self, rollout: Rollout, entry: Entry) -> None:
        self._journal.add(entry)
        self._patience[rollout.arm.agent].heard(answered=entry.status != FAILED)
        self._last_failure = entry.reason or self._last_failure

    def _finish(self, step: Step, stopped: str | None, earlier: int, meter: Meter) -> SampleReport:
        arms = by_arm(self._plan, self._journal.status)
        rows = sum(arm.rows for arm in arms)
        failed, not_done = sum(arm.failed for arm in arms), sum(arm.not_done for arm in arms)
        left_out = {"rollouts that failed": failed, "rollouts that were not done": not_done}
        if rows:
            told = step.model_copy(update={"left_out": {why: count for why, count in left_out.items() if count}})
            publish(self._rows(), self._out, (told,))
        if not failed and not not_done:
            self._journal.remove()
        failed_now = sum(one.failed for one in self._patience.values())
        return SampleReport(
            out=self._out,
            rows=rows,
            complete=not failed and not not_done,
            done_now=rows - earlier + failed_now,
            failed_now=failed_now,
            earlier=earlier,
            arms=arms,
            stopped=stopped,
            last_failure=self._last_failure,
            usage=meter.usage,
        )

    def _rows(self) -> Iterator[LabelledTrajectory]:
        """The rows in the order of the plan, whatever the order in which they came."""
        return (row for one in self._plan if (row := self._journal.row(one.key)) is not None)


def _told(settings: SampleSettings, tool_sets: tuple[str, ...], asked: QuestionSet) -> dict[str, Any]:
    """What the journal begins with."""
    given = settings.model_dump(mode="json")
    agents = [redact(spec) for spec in settings.agents]
    return {"format": _FORMAT, **given, "agents": agents, "tools": list(tool_sets), "questions": asked.inputs}


def _step(settings: SampleSettings, tool_sets: tuple[str, ...], asked: QuestionSet) -> Step:
    """What the card says. Of folders the names alone: where they lie is nobody's business."""
    given = settings.model_dump(mode="json", exclude={"root", "corpus"}, exclude_none=True)
    corpus = {"corpus": settings.corpus.name} if settings.corpus else {}
    agents = [redact(spec) for spec in settings.agents]
    return Step(
        command="sample",
        inputs=asked.inputs,
        settings={**given, **corpus, "agents": agents, "tools": list(tool_sets)},
    )
