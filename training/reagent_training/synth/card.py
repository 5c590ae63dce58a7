"""The data card that is written beside a set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles

from reagent_sdk.replacing import replacing
from reagent_training.data.record import LabelledTrajectory
from reagent_training.markdown import table
from reagent_training.synth.labels import texts_of
from reagent_training.synth.record import SynthTask


def write_card(
    path: Path, tasks: Sequence[SynthTask], rows: Sequence[LabelledTrajectory], settings: dict[str, object]
) -> None:
    """Writes the card: what the set is, how it was made, what is in it, and what shows in its form."""
    with replacing(path) as file:
        file.write(_card(tasks, rows, settings).encode())


def _card(tasks: Sequence[SynthTask], rows: Sequence[LabelledTrajectory], settings: dict[str, object]) -> str:
    lengths = sorted(len(text) for text in texts_of(rows))
    parts = (
        "# Synthetic tool tasks",
        "Tasks with known answers, and sound and flawed work on them. Every tool result is what the real tool "
        "returned; thoughts, critiques, analyses and scores are made from templates. People, places and "
        "figures are invented.",
        "`rows.jsonl`: labelled trajectories. `tasks.jsonl`: questions, answers, grading rules, files. `files/`, "
        "`corpora/`: what the tools read. Rows of one task share a group and belong in one split. The halves `train` "
        "and `test` share no template, theme or name.",
        "Settings: " + ", ".join(f"{name} = {value}" for name, value in settings.items()),
        f"{len(tasks)} tasks, {len(rows)} trajectories, {sum(bool(row.correct) for row in rows)} of them right. Length "
        f"of a record in characters: median {lengths[len(lengths) // 2]}, 95% under "
        f"{lengths[min(len(lengths) - 1, len(lengths) * 95 // 100)]}, longest {lengths[-1]}.",
        _scores(rows),
        "## Tasks\n\n" + _table(("family", "tasks"), Counter(task.family for task in tasks)),
        _table(("template", "tasks"), Counter(f"{task.family}: {task.template}" for task in tasks)),
        _table(("steps needed", "tasks"), Counter(str(task.difficulty) for task in tasks)),
        "## Work\n\n" + _recipes(rows),
        "## What shows in the form\n\n" + _baselines(rows),
        "## Limits\n\nThe wording is that of templates: a judge trained on nothing else learns their style. The tools "
        "never fail by themselves, and the pages and files hold nothing hostile. Licence: Apache-2.0.",
    )
    return "\n\n".join(parts) + "\n"


def _scores(rows: Sequence[LabelledTrajectory]) -> str:
    scores = [row.score for row in rows if row.score is not None]
    if len(scores) < 2:
        return f"Score: {scores}."
    low, middle, high = quantiles(scores, n=4)
    return f"Score: quartiles {low:.2f}, {middle:.2f}, {high:.2f}; {len(set(scores))} different values."


def _table(head: tuple[str, str], counts: Counter[str]) -> str:
    return table(head, sorted(counts.items()))


def _recipes(rows: Sequence[LabelledTrajectory]) -> str:
    lines = []
    by_name: dict[str, list[LabelledTrajectory]] = {}
    for row in rows:
        by_name.setdefault(str(row.metadata["recipe"]), []).append(row)
    for name, found in sorted(by_name.items()):
        mean = sum(row.score or 0.0 for row in found) / len(found)
        lines.append([name, len(found), sum(bool(row.correct) for row in found), f"{mean:.2f}"])
    return table(["work", "trajectories", "right", "mean score"], lines)


def _baselines(rows: Sequence[LabelledTrajectory]) -> str:
    try:
        from reagent_training.synth.baseline import measure

        measured = measure(rows)
    except ImportError:
        return "Not measured: install `reagent-sdk[calibrate]`."
    if measured is None:
        return "Not measured: too few tasks."
    return (
        "AUROC of right against wrong work, out of fold by the question. Length of the record, number of calls and "
        f"number of messages: {measured.form:.2f}. Bag of words: {measured.words:.2f}. Share of right work: "
        f"{measured.base_rate:.2f}."
    )
