"""Tasks and plans, without running any tool."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from pathlib import Path
from random import Random

import anyio
import pytest
from reagent_training.synth.families.atlas import make_atlas
from reagent_training.synth.families.desk import make_desk
from reagent_training.synth.families.lookups import lookup_puzzle
from reagent_training.synth.families.mixed import mixed_puzzle
from reagent_training.synth.families.tables import table_puzzle
from reagent_training.synth.families.words import word_puzzle
from reagent_training.synth.grading import right
from reagent_training.synth.names import lexicon
from reagent_training.synth.plan import OUT, Flaw, Role
from reagent_training.synth.puzzle import Puzzle
from reagent_training.synth.recipes import RIGHT, SOUND, WRONG, names_for
from reagent_training.synth.record import Split
from reagent_training.synth.rubric import score_of
from reagent_training.synth.workbench import Workbench
from reagent_training.synth.worlds import Worlds

SPLITS = list(Split)


def puzzles(split: Split, count: int = 12, seed: int = 0) -> list[Puzzle]:
    desk, atlas = make_desk(split, seed, 0), make_atlas(split, seed, 0)
    made: list[Puzzle] = []
    for number in range(count):
        made.append(word_puzzle(Random(number), split, f"w{number}"))
        made.append(table_puzzle(Random(number), split, f"t{number}", desk, "files/desk"))
        made.append(lookup_puzzle(Random(number), split, f"l{number}", atlas, "a.corpus"))
        made.append(mixed_puzzle(Random(number), split, f"m{number}", atlas, "a.corpus"))
    return made


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_seed_gives_the_same_files_and_pages(split: Split) -> None:
    assert make_desk(split, 3, 1).files() == make_desk(split, 3, 1).files()
    assert make_atlas(split, 3, 1).pages() == make_atlas(split, 3, 1).pages()
    assert make_desk(split, 3, 1).files() != make_desk(split, 4, 1).files()
    assert make_atlas(split, 3, 1).pages() != make_atlas(split, 3, 2).pages()


def test_the_splits_share_no_template_theme_or_name() -> None:
    templates, names, columns = [], [], []
    for split in SPLITS:
        templates.append({f"{p.task.family}:{p.task.template}" for p in puzzles(split, 150)})
        atlases = [make_atlas(split, seed, 0) for seed in range(4)]
        rivers = {str(one.facts["river"]) for atlas in atlases for one in atlas.of("town")}
        names.append({name for atlas in atlases for name in atlas.entities} | rivers)
        desks = [make_desk(split, seed, 0) for seed in range(12)]
        columns.append({word for desk in desks for word in (desk.theme.stem, desk.theme.key, desk.theme.value)})
    assert not templates[0] & templates[1]
    assert not names[0] & names[1]
    assert not columns[0] & columns[1]
    assert len(templates[0]) >= 20
    assert len(templates[1]) >= 15
    one, other = (lexicon(split) for split in SPLITS)
    for part in ("heads", "tails", "places", "first", "adjectives", "nouns"):
        assert not set(getattr(one, part)) & set(getattr(other, part)), part


@pytest.mark.parametrize("split", SPLITS)
def test_every_name_of_a_world_has_a_page_a_namesake_and_facts_that_the_page_tells(split: Split) -> None:
    atlas = make_atlas(split, 0, 0)
    pages = {row["id"]: row["text"] for row in map(json.loads, atlas.pages().splitlines())}
    assert len(pages) == len(atlas.entities)
    for entity in atlas.entities.values():
        assert atlas.entities[entity.twin].kind == entity.kind
        assert atlas.entities[entity.twin].twin == entity.name
        for relation, value in entity.facts.items():
            assert str(value) in pages[entity.id], (entity.name, relation)


@pytest.mark.parametrize("split", SPLITS)
def test_answers_of_tables_are_those_of_the_files(split: Split) -> None:
    """Worked out anew from the bytes of a csv file, for the one form of question that this test knows."""
    checked = 0
    for seed in range(30):
        desk = make_desk(split, seed, 0)
        name = desk.names[desk.year]
        if not name.endswith(".csv"):
            continue
        rows = list(csv.DictReader(io.StringIO(desk.files()[name].decode())))
        for number in range(12):
            puzzle = table_puzzle(Random(number), split, "t", desk, "f")
            values = [int(r[desk.theme.value]) for r in rows if r[desk.theme.group] == puzzle.query.group]
            known = {"filter_sum": str(sum(values)), "filter_mean": str(round(sum(values) / len(values), 2))}
            if puzzle.task.template in known:
                assert right(known[puzzle.task.template], puzzle.task.answer, puzzle.task.rule)
                checked += 1
    assert checked > 5


def test_a_world_that_is_asked_out_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of the test half have the fewest questions. No file is read here."""
    monkeypatch.setattr("reagent_training.synth.worlds._TASKS_A_DESK", 60)

    class Bench(Workbench):
        async def warm(self, folder: str, names: tuple[str, ...]) -> None:
            assert len(names) == 3

    async def draw() -> list[str]:
        worlds, asked = Worlds(tmp_path, Split.TEST, 0, ("tables",)), set[str]()
        for place in range(120):
            asked.add((await worlds.puzzle(place, asked, Bench(tmp_path))).task.question)
        return sorted(asked)

    assert len(anyio.run(draw)) == 120
    assert len(list((tmp_path / "files").iterdir())) > 2


@pytest.mark.parametrize("split", SPLITS)
def test_wrong_and_near_answers_are_wrong_and_of_the_same_kind(split: Split) -> None:
    for puzzle in puzzles(split, 40):
        task = puzzle.task
        assert right(task.answer, task.answer, task.rule)
        misses = 0
        for number in range(6):
            misses += right(puzzle.wrong(Random(number)), task.answer, task.rule)
            value, did = puzzle.near(Random(number))
            assert not right(value, task.answer, task.rule), (task.question, value)
            assert did
        assert misses <= 2, task.question


@pytest.mark.parametrize("split", SPLITS)
def test_slips_change_the_calls_and_mark_the_step(split: Split) -> None:
    for puzzle in puzzles(split):
        assert puzzle.slips
        for slip in puzzle.slips:
            sound, slipped = puzzle.plan(Random(1)), puzzle.plan(Random(1), slip)
            assert [s.calls for s in sound.steps] != [s.calls for s in slipped.steps], slip
            assert Flaw.WRONG_ARGUMENT in {s.flaw for s in slipped.steps}
            assert {s.flaw for s in sound.steps} == {None}


@pytest.mark.parametrize("split", SPLITS)
def test_recipes_make_what_their_names_say(split: Split) -> None:
    for puzzle in puzzles(split, 8):
        tables = (SOUND, RIGHT, WRONG)
        recipes = {name: made for table in tables for by_name in table.values() for name, made in by_name.items()}
        for name, recipe in recipes.items():
            draft = recipe(puzzle, Random(name))
            plan, kinds = draft.plan, {fault.flaw for fault in draft.faults}
            calls = [call for step in plan.steps for call in step.calls]
            shape = (name, puzzle.task.question)
            assert (not kinds) == (name in ("sound", "checked")), shape
            if "needless" in name:
                assert Flaw.NEEDLESS_CALL in kinds
                extra = next(step for step in plan.steps if step.flaw is Flaw.NEEDLESS_CALL)
                before = plan.steps[: plan.steps.index(extra)]
                needed = [call for step in puzzle.plan(Random(0)).steps for call in step.calls]
                assert extra.calls[0] not in needed or extra.calls in [step.calls for step in before], shape
            if "guess" in name:
                assert not plan.places(Role.COMPUTE), shape
                assert len(calls) <= 1, shape
                assert OUT not in plan.answer
            if name.startswith("missing"):
                start, stop = puzzle.plan(Random(name)).span
                assert any(step.flaw is Flaw.MISSING_CALL and not step.calls for step in plan.steps), shape
                assert stop > start
            if "mended" in name and "invented" not in name:
                pairs = [(a, b) for a, b in pairwise(plan.steps) if a.flaw is Flaw.MENDED]
                assert pairs, shape
                assert all(a.calls != b.calls and a.calls[0].tool == b.calls[0].tool for a, b in pairs), shape
            if "checked" in name:
                assert plan.places(Role.CHECK), shape


def test_half_of_the_work_is_meant_to_be_right_and_lengths_do_not_tell() -> None:
    shares: dict[bool, dict[str, int]] = {True: {}, False: {}}
    lengths = {
        (name, meant): length
        for meant, tables in ((True, (RIGHT, SOUND)), (False, (WRONG,)))
        for table in tables
        for length, by_name in table.items()
        for name in by_name
    }
    for number in range(2000):
        chosen = names_for(Random(number), 4)
        assert [meant for _, _, meant in chosen] == [True, False, True, False]
        assert len({name for name, _, meant in chosen if not meant}) == 2
        for name, _, meant in chosen:
            length = lengths[name, meant]
            shares[meant][length] = shares[meant].get(length, 0) + 1
    for length in ("short", "plain", "long"):
        assert abs(shares[True][length] - shares[False][length]) < 0.03 * 4000, shares


def test_the_rubric_orders_work_as_documented() -> None:
    rng = Random(0)
    order = [
        score_of([], correct=True, checked=True, rng=rng),
        score_of([Flaw.MENDED], correct=True, checked=False, rng=rng),
        score_of([Flaw.NEAR_MISS], correct=False, checked=False, rng=rng),
        score_of([Flaw.LUCKY_GUESS], correct=True, checked=False, rng=rng),
        score_of([Flaw.WRONG_ARGUMENT], correct=False, checked=False, rng=rng),
        score_of([Flaw.INVENTED_FILE], correct=False, checked=False, rng=rng),
    ]
    assert order == sorted(order, reverse=True)
    assert all(abs(score_of([Flaw.LUCKY_GUESS], correct=True, checked=False, rng=rng) - 0.3) <= 0.04 for _ in range(50))
    assert len({score_of([], correct=True, checked=False, rng=rng) for _ in range(50)}) > 3
    both = [Flaw.NEAR_MISS, Flaw.NEEDLESS_CALL]
    assert score_of(both, correct=False, checked=False, rng=Random(1)) < 0.55
