"""Multi-hop lookups: from one page to the next by search and browse."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from reagent_training.synth.families.atlas import Atlas, Entity, Value
from reagent_training.synth.families.prose import phrase
from reagent_training.synth.plan import Call, Flaw, Role, Step

HITS = 4
_SEEKING = (
    "I search for {s}.",
    "I need {np}, so I look up {s}.",
    "Let me find the page of {s}.",
    "Next I look for {s}.",
)
_OPENING = ("I open {u}.", "Let me read {u}.", "I read the page {u}.", "The page {u} should say it.")
_SOURCES = ("The page says that", "According to the page,", "I read there that", "So")


@dataclass(frozen=True, slots=True)
class Hop:
    """One lookup.

    Attributes:
        subject: whose page is needed.
        read: whose page is read: the subject's, or its namesake's.
        relation: what is looked for.
        value: what the page that is read says.
    """

    subject: Entity
    read: Entity
    relation: str
    value: Value


@dataclass(frozen=True, slots=True)
class Chain:
    """Relations to follow from an entity on."""

    start: str
    relations: tuple[str, ...]

    def hops(self, atlas: Atlas, wrong: int | None = None) -> list[Hop]:
        """The lookups; at the hop `wrong` the namesake's page is read, and the rest follows from that."""
        found: list[Hop] = []
        name: Value = self.start
        for place, relation in enumerate(self.relations):
            subject = atlas.entities[str(name)]
            read = atlas.entities[subject.twin] if place == wrong else subject
            name = read.facts[relation]
            found.append(Hop(subject, read, relation, name))
        return found

    def value(self, atlas: Atlas) -> Value:
        """What the chain leads to."""
        return self.hops(atlas)[-1].value

    def words(self, wording: int) -> str:
        """What is looked for as one noun phrase: "the birthplace of the author of X"."""
        told = self.start
        for relation in self.relations:
            told = phrase(relation, told, wording)
        return told


def steps_of(rng: Random, hops: list[Hop]) -> list[Step]:
    """A search and a browse for each hop."""
    return [step for hop in hops for step in _hop(rng, hop)]


def side_by_side(rng: Random, hops: list[Hop]) -> list[Step]:
    """All pages searched at once and then read at once; for hops that do not need each other."""
    names = " and ".join(hop.subject.name for hop in hops)
    urls = " and ".join(hop.read.url for hop in hops)
    search = Call("search", {"queries": [_query(hop) for hop in hops], "max_results": HITS})
    flaw = next((Flaw.WRONG_ARGUMENT for hop in hops if hop.read is not hop.subject), None)
    told = " and ".join(_claim(rng, hop) for hop in hops)
    return [
        Step(
            f"I search for {names} at once.", (search,), Role.GATHER, f"the pages of {names}", f"the pages are {urls}"
        ),
        Step(
            rng.choice(_OPENING).format(u=urls),
            tuple(Call("browse", {"url": hop.read.url}) for hop in hops),
            Role.GATHER,
            " and ".join(phrase(hop.relation, hop.subject.name, 0) for hop in hops),
            told,
            rng.choice(_SOURCES),
            flaw,
        ),
    ]


def search_step(thought: str, query: str, role: Role, purpose: str) -> Step:
    """A single search."""
    return Step(thought, (Call("search", {"queries": [query], "max_results": HITS}),), role, purpose)


def _hop(rng: Random, hop: Hop) -> list[Step]:
    what = phrase(hop.relation, hop.subject.name, rng.randrange(2))
    seeking = rng.choice(_SEEKING).format(s=hop.subject.name, np=what)
    search = Call("search", {"queries": [_query(hop)], "max_results": HITS})
    flaw = None if hop.read is hop.subject else Flaw.WRONG_ARGUMENT
    return [
        Step(
            seeking,
            (search,),
            Role.GATHER,
            f"the page of {hop.subject.name}",
            f"the search found {hop.read.url}",
            flaw=flaw if hop.subject.kind == "town" else None,
        ),
        Step(
            rng.choice(_OPENING).format(u=hop.read.url),
            (Call("browse", {"url": hop.read.url}),),
            Role.GATHER,
            what,
            _claim(rng, hop),
            rng.choice(_SOURCES),
            flaw,
        ),
    ]


def _query(hop: Hop) -> str:
    """What is searched for. Namesakes among towns share no word: who ends on the wrong one has searched for it."""
    name = hop.read.name if hop.subject.kind == "town" else hop.subject.name
    return f"{name} {hop.relation.replace('_', ' ')}"


def _claim(rng: Random, hop: Hop) -> str:
    """What the agent takes from the page. Who read the namesake's page may or may not notice the name."""
    name = rng.choice((hop.subject.name, hop.read.name))
    return f"{phrase(hop.relation, name, rng.randrange(2))} is {hop.value}"
