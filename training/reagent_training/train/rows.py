"""The rows of a run: read, checked against the prompt, and drawn evenly from what each source holds."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Protocol

from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import judge_prompt
from reagent_training.data.files import read_set
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.config import Source


def read_rows(sources: Sequence[Source], *, prompt_version: str | None, seed: int) -> list[LabelledTrajectory]:
    """The rows of all sources, in an order that depends on the seed and not on the files.

    Args:
        sources: files, or parts of them.
        prompt_version: the prompt that targets must be written for; None where no targets are read.
        seed: of the order, and of what is drawn.

    Raises:
        InvalidInput: a file is bad (one line with file, row and field), its targets are written for another prompt,
            two files hold the same row, or nothing is left.
    """
    rows: list[LabelledTrajectory] = []
    seen: dict[str, str] = {}
    for source in sources:
        drawn = _drawn(source, prompt_version, seed)
        for row in drawn:
            if row.id in seen:
                raise InvalidInput(f"{source.path}: the row {row.id!r} is in {seen[row.id]} as well")
            seen[row.id] = str(source.path)
        rows += drawn
    return sorted(rows, key=lambda row: _place(row.id, seed))


class Grouped(Protocol):
    """Whatever belongs to a question: a labelled row, or an item of a benchmark."""

    @property
    def group(self) -> str:
        """The question."""


def check_apart(train: Iterable[Grouped], held_out: Iterable[Grouped], part: str) -> None:
    """Refuses rows that share questions with the training rows: a held-out figure would be worth nothing.

    Args:
        train: what is trained on.
        held_out: what is measured on.
        part: what the latter are called, for the message.

    Raises:
        InvalidInput: a question stands on both sides.
    """
    if both := {row.group for row in train} & {row.group for row in held_out}:
        raise InvalidInput(
            f"{len(both)} questions are in the training and in the {part} rows, such as {min(both)!r}; split by "
            "question with `reagent data split`"
        )


def _drawn(source: Source, prompt_version: str | None, seed: int) -> list[LabelledTrajectory]:
    path = source.path.expanduser()
    allowed = {prompt_version, judge_prompt(prompt_version).targets_of} if prompt_version else None
    rows = []
    for number, row in enumerate(read_set(path), start=1):
        if allowed is not None and row.prompt_version not in allowed:
            raise InvalidInput(
                f"{path}, row {number}, prompt_version: its targets are written for {row.prompt_version!r}, and this "
                f"run trains {prompt_version!r}"
            )
        if source.only is None or row.source == source.only:
            rows.append(row)
    if not rows:
        raise InvalidInput(f"{path} holds no row" + (f" of the source {source.only!r}" if source.only else ""))
    return rows if source.rows is None else _evenly(rows, source.rows, seed)


def _evenly(rows: Sequence[LabelledTrajectory], count: int, seed: int) -> list[LabelledTrajectory]:
    """`count` rows or a few more: pairs are taken whole, and right, wrong and unknown outcomes come in turn."""
    units: dict[str, list[LabelledTrajectory]] = defaultdict(list)
    for row in rows:
        units[f"pair {row.pair}" if row.pair else f"row {row.id}"].append(row)
    kinds: dict[bool | None, list[list[LabelledTrajectory]]] = defaultdict(list)
    for name in sorted(units, key=lambda name: _place(name, seed)):
        kinds[units[name][0].correct].append(units[name])
    drawn: list[LabelledTrajectory] = []
    for turn in zip_longest(*(kinds[kind] for kind in sorted(kinds, key=str))):
        for unit in turn:
            if unit is not None and len(drawn) < count:
                drawn += unit
    return drawn


def _place(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogatepass")).digest()
