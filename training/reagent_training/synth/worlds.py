"""Where tasks come from: each family's puzzles, and the folders and corpora that they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_sdk.replacing import replacing
from reagent_sdk.tools.corpus.build import build_corpus
from reagent_training.synth.families.atlas import Atlas, make_atlas
from reagent_training.synth.families.desk import Desk, make_desk
from reagent_training.synth.families.lookups import lookup_puzzle
from reagent_training.synth.families.mixed import mixed_puzzle
from reagent_training.synth.families.tables import table_puzzle
from reagent_training.synth.families.words import word_puzzle
from reagent_training.synth.puzzle import Puzzle
from reagent_training.synth.record import Split
from reagent_training.synth.seeds import random_for
from reagent_training.synth.workbench import Workbench

FAMILIES = ("words", "tables", "lookups", "mixed")
_TASKS_A_DESK, _TASKS_AN_ATLAS = 12, 50
_REDRAWS, _PATIENCE, _FURTHER = 1_000, 40, 100_000
"""A world in which so many draws in a row gave nothing new is asked out: a further one takes its place."""


class Worlds:
    """Makes the task of a place, the same for the same seed.

    Args:
        root: the folder of the set.
        split: which half of templates and names.
        seed: of the set.
        families: kinds of tasks, in turn.
    """

    def __init__(self, root: Path, split: Split, seed: int, families: Sequence[str]) -> None:
        self._root, self._split, self._seed, self._families = root, split, seed, tuple(families)
        self._desk: tuple[int, Desk] | None = None
        self._atlas: dict[int, Atlas] = {}

    async def puzzle(self, place: int, asked: set[str], bench: Workbench) -> Puzzle:
        """The task of a place.

        Args:
            place: number of the task in the set, from 0.
            asked: questions that were asked before; none is asked twice.
            bench: gets to know a folder that is new.

        Raises:
            InvalidInput: no new question could be drawn.
        """
        family, number = self._families[place % len(self._families)], place // len(self._families)
        for draw in range(_REDRAWS):
            puzzle = await self._drawn(family, number, draw, bench)
            if puzzle.task.question not in asked:
                return puzzle
        raise InvalidInput(f"{family} has no further question for this seed after {number}; ask for fewer tasks")

    async def _drawn(self, family: str, number: int, draw: int, bench: Workbench) -> Puzzle:
        rng = random_for("puzzle", self._split, self._seed, family, number, draw)
        further = draw // _PATIENCE * _FURTHER
        name = f"{family}-{self._split}-{self._seed}-{number:05d}"
        if family == "words":
            return word_puzzle(rng, self._split, name)
        if family == "tables":
            desk, folder = await self._desk_of(further + number // _TASKS_A_DESK, bench)
            return table_puzzle(rng, self._split, name, desk, folder)
        atlas, corpus = self._atlas_of(further + number // _TASKS_AN_ATLAS)
        make = lookup_puzzle if family == "lookups" else mixed_puzzle
        return make(rng, self._split, name, atlas, corpus)

    async def _desk_of(self, number: int, bench: Workbench) -> tuple[Desk, str]:
        folder = f"files/desk-{number:04d}"
        if self._desk is None or self._desk[0] != number:
            desk = make_desk(self._split, self._seed, number)
            files = desk.files()
            for name, data in files.items():
                _write(self._root / folder / name, data)
            await bench.warm(folder, tuple(files))
            self._desk = (number, desk)
        return self._desk[1], folder

    def _atlas_of(self, number: int) -> tuple[Atlas, str]:
        corpus = f"corpora/atlas-{number:04d}.corpus"
        if number not in self._atlas:
            atlas = make_atlas(self._split, self._seed, number)
            source = self._root / corpus.replace(".corpus", ".jsonl")
            if _write(source, atlas.pages().encode()) or not (self._root / corpus).is_file():
                build_corpus([source], self._root / corpus)
            self._atlas = {number: atlas}
        return self._atlas[number], corpus


def _write(path: Path, data: bytes) -> bool:
    """Writes a file unless it is there already, and says whether it did."""
    if path.is_file() and path.read_bytes() == data:
        return False
    with replacing(path) as file:
        file.write(data)
    return True
