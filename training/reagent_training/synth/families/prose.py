"""The words of pages and of questions about them. The two splits tell the same facts in other sentences."""

from __future__ import annotations

from reagent_training.synth.families.atlas import Entity
from reagent_training.synth.record import Split

_PAGES = {
    Split.TRAIN: {
        "town": "{name} is a town on the river {river}. It was founded in {founded} and received its charter in "
        "{charter}. At the last count it had {population} inhabitants. Its mayor is {mayor}. The market square, "
        "rebuilt after a fire, is known for its arcades.",
        "person": "{name}, born in {born} in {born_in}, is a writer and teacher who now lives in {lives_in}. A pupil "
        "of {mentor}, {name} first worked as a clerk. Friends describe a quiet person with a large collection of maps.",
        "book": "{name} is a novel by {author}, published in {published} by {press}. The story is set in {setting}. "
        "A translation by {translator} followed later. Critics praised its calm tone and its many letters.",
        "press": "{name} is a publisher with its seat in {seat}. It was opened in {opened} by {founder}. Today it is "
        "led by {head}. It prints novels, atlases and calendars on its own machines.",
    },
    Split.TEST: {
        "town": "The {river} runs through {name}, whose {population} residents elect a mayor every four years; {mayor} "
        "holds the office. Settlers founded the place in {founded}. A town charter was granted in {charter}. Salt and "
        "wool made it wealthy.",
        "person": "{name} has lived in {lives_in} for many years but comes from {born_in}, the birthplace named in the "
        "parish book of {born}, the year of birth. {mentor} was the mentor of {name}. Essays and "
        "lectures made the name known.",
        "book": "Published in {published}, {name} was written by {author}. {press} brought it out. It takes place in "
        "{setting}, and {translator} translated it. Readers remember above all the description of a winter.",
        "press": "{name} prints books. {founder} was its founder in {opened}, and {head} is its present head. Its "
        "rooms, the seat of the house, are in {seat}. A small museum shows old type.",
    },
}

_PHRASES: dict[str, tuple[str, str]] = {
    "river": ("the river that flows through {x}", "the river of {x}"),
    "founded": ("the year in which {x} was founded", "the founding year of {x}"),
    "charter": ("the year in which {x} received its charter", "the charter year of {x}"),
    "population": ("the number of inhabitants of {x}", "the population of {x}"),
    "mayor": ("the mayor of {x}", "the person who is mayor of {x}"),
    "born_in": ("the birthplace of {x}", "the town in which {x} was born"),
    "lives_in": ("the town in which {x} lives", "the present home town of {x}"),
    "mentor": ("the mentor of {x}", "the person whose pupil {x} was"),
    "born": ("the year in which {x} was born", "the birth year of {x}"),
    "author": ("the author of {x}", "the writer of {x}"),
    "translator": ("the translator of {x}", "the person who translated {x}"),
    "setting": ("the town in which {x} is set", "the place where {x} takes place"),
    "press": ("the publisher of {x}", "the press that published {x}"),
    "published": ("the year in which {x} was published", "the publication year of {x}"),
    "founder": ("the founder of {x}", "the person who opened {x}"),
    "head": ("the present head of {x}", "the person who leads {x}"),
    "seat": ("the seat of {x}", "the town where {x} has its seat"),
    "opened": ("the year in which {x} was opened", "the opening year of {x}"),
}

CONFUSED = {
    **{"born_in": "lives_in", "lives_in": "born_in", "author": "translator", "translator": "author"},
    **{"founder": "head", "head": "founder", "founded": "charter", "charter": "founded"},
}
"""Relations of one page that are easily taken for each other."""


def page(entity: Entity, split: Split) -> str:
    """Text of an entity's page."""
    return _PAGES[split][entity.kind].format(name=entity.name, **entity.facts)


def phrase(relation: str, subject: str, wording: int) -> str:
    """A relation of something as a noun phrase."""
    return _PHRASES[relation][wording % 2].replace("{x}", subject)
