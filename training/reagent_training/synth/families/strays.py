"""Where lookups go astray: namesakes, pages that do not exist, pages that nobody needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from reagent_training.synth.families.atlas import Atlas
from reagent_training.synth.families.chains import Chain
from reagent_training.synth.figures import wrong_number
from reagent_training.synth.plan import Call, Role, Step
from reagent_training.synth.puzzle import Slip

_YEARS = range(1000, 2101)


def slips_of(atlas: Atlas, chains: Sequence[Chain]) -> tuple[Slip, ...]:
    """One slip for each hop whose namesake leads elsewhere: that one's page. Keys are "chain:hop"."""
    return tuple(
        Slip(
            f"{number}:{place}",
            f"opens the page of {hop.subject.twin}",
            f"{hop.subject.name} is somebody else"
            if hop.subject.kind == "person"
            else f"this is not {hop.subject.name}",
            f"open the page of {hop.subject.name} and follow the chain from there",
        )
        for number, chain in enumerate(chains)
        for place, hop in enumerate(chain.hops(atlas))
        if chain.hops(atlas, place)[-1].value != chain.value(atlas)
    )


def detour_in(rng: Random, atlas: Atlas, needed: set[str]) -> Step:
    """A page that the question does not lead to, looked up or opened."""
    other = atlas.entities[rng.choice([name for name in atlas.entities if name not in needed])]
    if rng.random() < 0.5:
        call = Call("browse", {"url": other.url})
    else:
        call = Call("search", {"queries": [other.name], "max_results": 3})
    thought = rng.choice(("Let me also look at {n}.", "{n} may be of interest.", "I have a look at {n} as well."))
    return Step(thought.format(n=other.name), (call,), Role.EXTRA, f"the page of {other.name}")


def invention_near(rng: Random, name: str) -> Step:
    """A page that sounds as if it existed."""
    kind = rng.choice(("biography", "history", "index", "summary", "facts"))
    url = f"corpus:{name.lower().replace(' ', '-')}-{kind}"
    thought = rng.choice(("There should be a page {u}.", "I open {u} directly.", "I read {u}, which will say it."))
    return Step(thought.format(u=url), (Call("browse", {"url": url}),), Role.EXTRA, f"the page {url}")


def mended_call(rng: Random, step: Step) -> Step:
    """The step with a call that fails: a misspelt address, or code that raises a NameError."""
    call = step.calls[0]
    if call.tool == "python":
        code = str(call.arguments["code"]).replace("print(", "print(factor * ", 1)
        return replace(step, calls=(Call("python", {"code": code}),), claim="", via="", flaw=None)
    url = str(call.arguments["url"])
    bad = rng.choice((url.replace("-", "_"), url.title().replace("Corpus:", "corpus:"), f"{url}.html"))
    bad = bad if bad != url else f"{url}.html"
    return replace(step, calls=(Call("browse", {"url": bad}),), claim="", via="", flaw=None)


def other_value(rng: Random, atlas: Atlas, chain: Chain) -> str:
    """What the chain's last relation says of something else; a year stays a year."""
    value, relation = chain.value(atlas), chain.relations[-1]
    if isinstance(value, int):
        if value in _YEARS:
            return str(value + rng.choice((-1, 1)) * rng.randrange(2, 60))
        return wrong_number(rng, str(value))
    values = {str(entity.facts[relation]) for entity in atlas.entities.values() if relation in entity.facts}
    return rng.choice(sorted(values - {str(value)}))


def spelt_wrong(rng: Random, name: str) -> tuple[str, str]:
    """A name with two letters exchanged, and that slip as a clause."""
    places = [at for at in range(1, len(name) - 1) if name[at : at + 2].isalpha() and name[at] != name[at + 1]]
    at = rng.choice(places)
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :], "misspells the name that the page gives"
