"""Makes a set: tasks, files, corpora, labelled trajectories and a data card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import Field, field_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, Settings
from reagent_sdk.replacing import replacing
from reagent_training.data.files import read_set, write_set
from reagent_training.synth.card import write_card
from reagent_training.synth.journal import Journal
from reagent_training.synth.labels import labelled
from reagent_training.synth.record import Split, SynthTask
from reagent_training.synth.workbench import Workbench
from reagent_training.synth.worlds import FAMILIES, Worlds

ROWS, TASKS, CARD = "rows.jsonl", "tasks.jsonl", "README.md"
_JOURNAL, _LOCK, _FORMAT = ".unfinished.jsonl", ".lock", 1


class SynthSettings(Settings):
    """What to make."""

    n: int = Field(500, ge=1, le=100_000, description="tasks")
    families: tuple[str, ...] = Field(FAMILIES, min_length=1, description="kinds of tasks")
    seed: int = Field(0, ge=0)
    split: Split = Split.TRAIN
    variants: int = Field(4, ge=1, le=16, description="trajectories of each task")

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in families if name not in FAMILIES]
        if unknown or len(set(families)) < len(families):
            raise ValueError(f"name each kind once, out of {', '.join(FAMILIES)}")
        return families


class SynthReport(Frozen):
    """What was made."""

    folder: Path
    tasks: int
    rows: int
    resumed: int = Field(description="tasks that an earlier run had made")


async def generate(
    out: str | Path, settings: SynthSettings | None = None, *, progress: Callable[[int, int], None] | None = None
) -> SynthReport:
    """Makes a set in a folder. A run that was cut off goes on where it stopped, and gives the same files.

    Args:
        out: the folder.
        settings: how much, of what.
        progress: called with the number of tasks done and of all tasks.

    Raises:
        InvalidInput: the folder holds another set, or another run is at work in it.
        MissingExtra: the tools are not installed.
    """
    settings = settings or SynthSettings()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / _LOCK, timeout=0):
            return await _generate(out, settings, progress)
    except Timeout:
        raise InvalidInput(f"another run is making a set in {out}") from None


def read_tasks(folder: str | Path) -> list[SynthTask]:
    """The tasks of a set, with their answers.

    Raises:
        InvalidInput: there is no set in the folder.
    """
    path = Path(folder) / TASKS
    if not path.is_file():
        raise InvalidInput(f"{folder} holds no set: there is no {TASKS}; `reagent data synth` makes one")
    return [SynthTask.model_validate_json(line) for line in path.read_text().splitlines()]


async def _generate(out: Path, settings: SynthSettings, progress: Callable[[int, int], None] | None) -> SynthReport:
    told = {"format": _FORMAT, **settings.model_dump(mode="json")}
    if (out / ROWS).is_file() and not (out / _JOURNAL).is_file():
        raise InvalidInput(f"{out} holds a finished set; name another folder")
    journal = Journal(out / _JOURNAL, told)
    asked = {task.question for task, _ in journal.entries()}
    resumed = len(asked)
    worlds = Worlds(out, settings.split, settings.seed, settings.families)
    async with Workbench(out) as bench:
        for place in range(resumed, settings.n):
            puzzle = await worlds.puzzle(place, asked, bench)
            journal.add(puzzle.task, await labelled(puzzle, bench, settings.seed, settings.variants))
            asked.add(puzzle.task.question)
            if progress:
                progress(place + 1, settings.n)
    with replacing(out / TASKS) as file:
        for task, _ in journal.entries():
            file.write(task.model_dump_json().encode() + b"\n")
    count = write_set((row for _, rows in journal.entries() for row in rows), out / ROWS)
    write_card(out / CARD, read_tasks(out), list(read_set(out / ROWS)), told)
    journal.remove()
    return SynthReport(folder=out, tasks=settings.n, rows=count, resumed=resumed)
