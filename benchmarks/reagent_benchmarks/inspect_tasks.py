"""The sets as tasks of inspect_ai: `inspect eval reagent_benchmarks/gsm8k -T agent=local -T judge=local`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from reagent_adapters.versions import require

from reagent_benchmarks.running.arms import arms_of
from reagent_benchmarks.running.making import tools_of
from reagent_benchmarks.suite.base import BenchmarkItem
from reagent_benchmarks.suite.load import load
from reagent_benchmarks.suite.registry import BENCHMARKS, benchmark
from reagent_sdk.errors import InvalidInput

require("inspect-ai", "benchmarks")

from inspect_ai import Task, task  # noqa: E402
from inspect_ai.dataset import MemoryDataset  # noqa: E402
from inspect_ai.scorer import Scorer  # noqa: E402
from inspect_ai.solver import Solver  # noqa: E402

from reagent_benchmarks.inspect_judge_tasks import JUDGE_TASKS  # noqa: E402
from reagent_benchmarks.running.inspect_task import SCORERS, arms, sample_of, scorers  # noqa: E402
from reagent_benchmarks.running.registering import registered  # noqa: E402

__all__ = ["JUDGE_TASKS", "SCORERS", "TASKS", "arms"]


def _task(name: str) -> Callable[..., Task]:
    @registered(lambda full: task(name=full), name)
    def made(  # noqa: PLR0913 - each is an argument of the task
        agent: str = "local",
        judge: str | None = None,
        arms: str | list[str] = "bare,critique",
        data: str | None = None,
        questions: int | None = None,
        seed: int = 0,
        seconds: float | None = None,
        tools: str | list[str] | None = None,
        steps: int | None = None,
        first_step: str = "auto",
        max_tokens: int | None = None,
        corpus: str | None = None,
        grader: str | None = None,
    ) -> Task:
        return task_of(name, **{key: value for key, value in locals().items() if key not in ("name",)})

    made.__doc__ = f"{benchmark(name).title}: {benchmark(name).what}, under all arms."
    return made


def task_of(  # noqa: PLR0913 - the arguments of a task
    name: str,
    agent: Any = "local",
    judge: Any = None,
    arms: str | list[str] = "bare,critique",
    data: str | None = None,
    questions: int | None = None,
    seed: int = 0,
    seconds: float | None = None,
    tools: str | list[str] | None = None,
    steps: int | None = None,
    first_step: str = "auto",
    max_tokens: int | None = None,
    corpus: str | None = None,
    grader: str | None = None,
) -> Task:
    """A set as a task.

    Args:
        name: of the benchmark.
        agent: a spec, or an agent of your own.
        judge: a spec or a Judge; None means `$REAGENT_JUDGE`, else the embedded local judge, and "none" nobody.
        arms: names with commas between them.
        data: the set's file, or a folder that holds it; by default the Hugging Face hub is asked.
        questions: how many to draw; by default all.
        seed: of the draw, and of local models.
        seconds: for each question.
        tools: names with commas between them, or "none"; by default those of the set.
        steps: how often an agent may call tools; by default as the set says.
        first_step: "required" makes the first reply call a tool; small models seldom do so by themselves.
        max_tokens: of each reply; by default the server's own limit, and 1024 for local models.
        corpus: a file for offline search.
        grader: the model that grades, where a model grades.

    Raises:
        InvalidInput: something of these cannot work.
    """
    wanted = benchmark(name)
    if wanted.needs:
        raise InvalidInput(f"{wanted.title} can be loaded but not run: {wanted.needs}")
    plan = {
        "instructions": wanted.instructions,
        "tools": tools_of(tools, wanted.tools),
        "steps": steps or wanted.steps,
        "first_step": first_step,
        "corpus": corpus,
        "max_tokens": max_tokens,
        "seed": seed,
    }
    chosen = arms_of(arms)
    items = load(name, data=None if data is None else Path(data), limit=questions, seed=seed)
    work = _arms(agent=agent, judge=judge, arms=arms, seconds=seconds, **plan)
    return assembled(name, items, work, scorers(chosen, wanted.grader, grader))


def assembled(
    name: str, items: Iterable[BenchmarkItem], solver: Solver | Sequence[Solver], scorer: Sequence[Scorer]
) -> Task:
    """Questions as a task in which one that fails stops no other, and is scored all the same."""
    return Task(
        dataset=MemoryDataset([sample_of(item) for item in items], name=name),
        solver=solver,
        scorer=scorer,
        fail_on_error=True,
        continue_on_fail=True,
        score_on_error=True,
    )


_arms = arms
TASKS = {name: _task(name) for name in BENCHMARKS if not benchmark(name).needs}
"""The tasks by the name of their set."""
