"""AgentProcessBench, Plan-RewardBench and tau-bench, read by the loaders of `reagent bench judge`.

What would tell the label is removed there (`reagent_benchmarks.judging`) and stays out here. Right answers, where the
rows have them, are read beside the items, for the leak filter alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reagent_benchmarks.judging import agentprocessbench, plan_rewardbench, tau_bench
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.rows import files_of, read_rows

from reagent_training.data.record import LabelledTrajectory, LabelSource, StepLabel
from reagent_training.data.sources.made import Origin, Work, bare, with_targets

AGENTPROCESSBENCH = Origin("agentprocessbench", LabelSource.HUMAN, "MIT")
PLAN_REWARDBENCH = Origin("plan_rewardbench", LabelSource.HUMAN, "CC BY 4.0")
TAU_BENCH = Origin("tau_bench", LabelSource.ENVIRONMENT, "MIT")


def read_agentprocessbench(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Outcomes and step labels by people; targets follow from both.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    items = agentprocessbench.load(path, left_out=left_out)
    references = _references(path)
    for item in items:
        steps = tuple(StepLabel(message=place, label=item.steps[place]) for place in sorted(item.steps))
        work = Work(
            id=item.id,
            group=item.group,
            task=item.task,
            trajectory=item.trajectory,
            correct=item.label,
            steps=steps,
            references=references.get(item.id, ()),
            metadata={"part": item.part},
        )
        yield with_targets(AGENTPROCESSBENCH, work)


def read_tau_bench(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Outcomes by the environment.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    for item in tau_bench.load(path, left_out=left_out):
        yield with_targets(TAU_BENCH, _work(item))


def read_plan_rewardbench(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Preferences by people. A side has no score of its own: that it is the better one does not say how good it is.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    for item in plan_rewardbench.load(path, left_out=left_out):
        work = _work(item, outcome=False)
        yield bare(PLAN_REWARDBENCH, work, pair=f"plan_rewardbench/{item.pair}", preferred=item.label)


def _work(item: JudgedItem, *, outcome: bool = True) -> Work:
    correct = item.label if outcome else None
    return Work(item.id, item.group, item.task, item.trajectory, correct, metadata={"part": item.part})


def _references(path: Path) -> dict[str, list[str]]:
    """The right answers of AgentProcessBench by item; the loader keeps them out of what a judge could see."""
    found: dict[str, list[str]] = {}
    for file in files_of(path, agentprocessbench.PATTERN, "agentprocessbench"):
        for row in read_rows(file):
            key = f"{row.get('data_source', str)}/{row.get('query_index', int)}/{row.get('sample_index', int)}"
            truth = row.data.get("ground_truth")
            answers = truth.get("target") if isinstance(truth, dict) else truth
            listed = answers if isinstance(answers, list) else [answers]
            found[key] = [str(answer) for answer in listed if isinstance(answer, str | int | float)]
    return found
