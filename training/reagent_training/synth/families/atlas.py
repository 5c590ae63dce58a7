"""A small fictional world with a page for each town, person, book and press. Every name has a namesake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from reagent_training.synth.names import Lexicon, lexicon
from reagent_training.synth.record import Split
from reagent_training.synth.seeds import random_for

Value: TypeAlias = "str | int"
_TOWNS, _PEOPLE, _BOOKS, _PRESSES = 14, 28, 20, 10


@dataclass(frozen=True, slots=True)
class Entity:
    """Something with a page.

    Attributes:
        kind: "town", "person", "book" or "press".
        name: as the page's title has it; unique.
        twin: name of another entity of the kind with a similar name.
        facts: by relation; a name of an entity, a name without a page (rivers), or a number.
    """

    kind: str
    name: str
    twin: str
    facts: Mapping[str, Value]

    @property
    def url(self) -> str:
        """Address of its page for browse."""
        return f"corpus:{self.id}"

    @property
    def id(self) -> str:
        """Id of its page."""
        return self.name.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Atlas:
    """A world: its entities by name."""

    split: Split
    entities: Mapping[str, Entity]

    def of(self, kind: str) -> list[Entity]:
        """All entities of a kind, in a fixed order."""
        return [entity for entity in self.entities.values() if entity.kind == kind]

    def pages(self) -> str:
        """All pages as JSON lines, which `reagent corpus build` takes."""
        from reagent_training.synth.families.prose import page

        rows = ({"id": one.id, "title": one.name, "text": page(one, self.split)} for one in self.entities.values())
        return "".join(json.dumps(row) + "\n" for row in rows)


def make_atlas(split: Split, seed: int, number: int) -> Atlas:
    """The world of a number; the same for the same seed."""
    rng, names = random_for("atlas", split, seed, number), lexicon(split)
    towns = _pairs(rng, _TOWNS, lambda: _towns(rng, names))
    people = _pairs(rng, _PEOPLE, lambda: _people(rng, names))
    books = _pairs(rng, _BOOKS, lambda: _books(rng, names))
    presses = _pairs(rng, _PRESSES, lambda: _presses(rng, names))
    made = [_town(rng, names, *pair, list(people)) for pair in towns.items()]
    made += [_person(rng, *pair, list(towns), list(people)) for pair in people.items()]
    made += [_book(rng, *pair, list(towns), list(people), list(presses)) for pair in books.items()]
    made += [_press(rng, *pair, list(towns), list(people)) for pair in presses.items()]
    return Atlas(split, {entity.name: entity for entity in made})


def _pairs(rng: Random, count: int, draw: object) -> dict[str, str]:
    """Names with their namesakes; no name twice."""
    assert callable(draw)  # noqa: S101 - ours
    found: dict[str, str] = {}
    while len(found) < count:
        one, other = draw()
        if one != other and one not in found and other not in found:
            found[one], found[other] = other, one
    return found


def _towns(rng: Random, names: Lexicon) -> tuple[str, str]:
    head = rng.choice(names.heads)
    one, other = rng.sample(names.places, 2)
    return head + one, head + other


def _people(rng: Random, names: Lexicon) -> tuple[str, str]:
    last = names.surname(rng)
    one, other = rng.sample(names.first, 2)
    return f"{one} {last}", f"{other} {last}"


def _books(rng: Random, names: Lexicon) -> tuple[str, str]:
    noun = rng.choice(names.nouns)
    one, other = rng.sample(names.adjectives, 2)
    return f"The {one} {noun}", f"The {other} {noun}"


def _presses(rng: Random, names: Lexicon) -> tuple[str, str]:
    last = names.surname(rng)
    return f"{last} Press", f"{last} House"


def _town(rng: Random, names: Lexicon, name: str, twin: str, people: list[str]) -> Entity:
    founded = rng.randrange(1050, 1500)
    facts: dict[str, Value] = {
        **{"river": rng.choice(names.heads) + rng.choice(("a", "itz", "enne", "ow")), "founded": founded},
        **{"charter": founded + rng.randrange(30, 200), "population": rng.randrange(2_100, 98_000)},
        **{"mayor": rng.choice(people)},
    }
    return Entity("town", name, twin, facts)


def _person(rng: Random, name: str, twin: str, towns: list[str], people: list[str]) -> Entity:
    home, birthplace = rng.sample(towns, 2)
    mentor = rng.choice([other for other in people if other not in (name, twin)])
    facts: dict[str, Value] = {"born_in": birthplace, "lives_in": home, "mentor": mentor}
    return Entity("person", name, twin, {**facts, "born": rng.randrange(1820, 1950)})


def _book(rng: Random, name: str, twin: str, towns: list[str], people: list[str], presses: list[str]) -> Entity:
    author, translator = rng.sample(people, 2)
    facts: dict[str, Value] = {"author": author, "translator": translator, "setting": rng.choice(towns)}
    return Entity("book", name, twin, {**facts, "press": rng.choice(presses), "published": rng.randrange(1960, 2020)})


def _press(rng: Random, name: str, twin: str, towns: list[str], people: list[str]) -> Entity:
    founder, head = rng.sample(people, 2)
    return Entity(
        "press",
        name,
        twin,
        {"founder": founder, "head": head, "seat": rng.choice(towns), "opened": rng.randrange(1850, 1990)},
    )
