"""Sets made of sources and of other sets, each with its card."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_training.data.card import DataCard, SplitInfo, Step, earlier_steps, publish, sha256_of
from reagent_training.data.choosing import Choice
from reagent_training.data.commands.watching import watched
from reagent_training.data.files import is_parquet, read_set
from reagent_training.data.filters import decide
from reagent_training.data.sources.registry import Conversion, convert
from reagent_training.data.splits import part_of


def converted(asked: Conversion, out: Path) -> DataCard:
    """Converts a source to a file.

    Raises:
        InvalidInput: as `convert` and `write_set`.
    """
    is_parquet(out)  # a name that tells no format, before the work
    left_out = Counter[str]()
    return publish(watched(convert(asked, left_out), f"converting {asked.source}"), out, _conversion(asked, left_out))


def converted_and_split(asked: Conversion, folder: Path, shares: Mapping[str, float], seed: int) -> list[DataCard]:
    """Converts a source to a file for each part of a split.

    Raises:
        InvalidInput: as `convert` and `split_up`.
    """
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / f"{asked.source}.jsonl"
        converted(asked, whole)
        return split_up(whole, folder, shares, seed)


def split_up(file: Path, folder: Path, shares: Mapping[str, float], seed: int) -> list[DataCard]:
    """Writes a file for each part of a set, named after the part, in the set's format.

    Raises:
        InvalidInput: the set is bad, or a part would be empty; nothing is written then.
    """
    rows, groups = Counter[str](), dict[str, set[str]]()
    for record in watched(read_set(file), "splitting"):
        part = part_of(record.group, shares, seed=seed)
        rows[part] += 1
        groups.setdefault(part, set()).add(record.group)
    if empty := [part for part in shares if not rows[part]]:
        raise InvalidInput(f"no question of {file} falls to {', '.join(empty)}: there are too few for these shares")
    sizes = {part: len(groups[part]) for part in shares}
    ending = (
        "".join(Path(file.name.lower()).suffixes[-2:]) if file.name.lower().endswith((".gz", ".zst")) else file.suffix
    )
    step = Step(command="split", inputs={file.name: sha256_of(file)}, settings={"shares": dict(shares), "seed": seed})
    steps = (*earlier_steps(file), step)
    return [
        publish(
            (one for one in watched(read_set(file), part) if part_of(one.group, shares, seed=seed) == part),
            folder / f"{part}{ending}",
            steps,
            SplitInfo(part=part, seed=seed, shares=dict(shares), rows=dict(rows), groups=sizes),
        )
        for part in shares
    ]


def filtered(file: Path, out: Path, choice: Choice) -> DataCard:
    """Writes what filters leave of a set.

    Raises:
        InvalidInput: the set or an evaluation set is bad, or nothing would be left.
    """
    is_parquet(out)
    decision = decide(watched(read_set(file), "filtering"), choice.filters())
    step = Step(
        command="filter",
        inputs={file.name: sha256_of(file)},
        settings=choice.settings(),
        left_out=decision.counts,
    )
    if len(decision.dropped) == decision.seen:
        reasons = ", ".join(f"{count} {reason}" for reason, count in decision.counts.items())
        raise InvalidInput(f"the filters leave nothing of {file}: {reasons or 'it holds no rows'}")
    kept = (one for index, one in enumerate(read_set(file)) if index not in decision.dropped)
    return publish(watched(kept, "writing"), out, (*earlier_steps(file), step))


def merged(files: Sequence[Path], out: Path) -> DataCard:
    """Writes the rows of several sets to one.

    Raises:
        InvalidInput: a set is bad, two hold the same id, or they are written for different prompts.
    """
    is_parquet(out)
    if len(set(files)) != len(files):
        raise InvalidInput("a set is named twice")
    earlier = [step for file in files for step in earlier_steps(file)]
    step = Step(command="merge", inputs={file.name: sha256_of(file) for file in files})
    rows = (record for file in files for record in read_set(file))
    return publish(watched(rows, "merging"), out, (*earlier, step))


def _conversion(asked: Conversion, left_out: Counter[str]) -> Iterator[Step]:
    """The step of a conversion; read when all rows have passed and all is counted."""
    given = Path(asked.given).expanduser()
    place = {given.name or str(given): sha256_of(given) if given.is_file() else ""}
    inputs = place if given.exists() else {asked.given: ""}
    if asked.labels is not None:
        inputs[asked.labels.name] = sha256_of(asked.labels)
    yield Step(command=f"convert {asked.source}", inputs=inputs, left_out={k: n for k, n in left_out.items() if n})
