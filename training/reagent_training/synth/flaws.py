"""Sound and flawed ways to work on a puzzle. Pure: each makes a plan, and none runs a tool."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from reagent_training.synth.plan import OUT, Flaw, Plan, Role, Step
from reagent_training.synth.puzzle import Draft, Fault, Puzzle

_FROM_MEMORY = ("As far as I know,", "If I am not mistaken,", "I am fairly sure that", "From what I remember,")
_NO_TOOLS = (
    "I can answer this without more work.",
    "There is no need for tools here.",
    "This looks simple enough to say at once.",
    "I will answer from experience.",
)
_ESTIMATES = ("My best estimate is this.", "I go with this.", "This seems right to me.", "That should be about right.")
_AFTER_ERROR = (
    "The file cannot be opened, but I know roughly what it would say.",
    "It is not there. I fill in what it most likely holds.",
    "That failed, so I go on with a likely value.",
)
_OVERRULED = (
    "That looks off to me, so I go with my own estimate.",
    "I trust my first impression more than this.",
    "I settle on a slightly different value.",
    *("", "", ""),
)
_RECOVERED = (
    "That failed, so I correct it.",
    "A slip of mine; once more.",
    "Not like that. I put it right.",
    "I fix the call.",
)
_ONCE_MORE = ("I run this once more.", "Again, the same call.", "Let me repeat that.", "One more time.")


def sound(puzzle: Puzzle, rng: Random) -> Draft:
    """Straight work."""
    return Draft(puzzle.plan(rng))


def checked(puzzle: Puzzle, rng: Random) -> Draft:
    """Straight work with a check at the end."""
    return Draft(puzzle.plan(rng, checked=True))


def slipped(puzzle: Puzzle, rng: Random, *, check: bool = False) -> Draft:
    """Work with a wrong argument, from which all else follows; a check makes the same mistake."""
    slip = rng.choice(puzzle.slips)
    fault = Fault(Flaw.WRONG_ARGUMENT, slip.did, slip.should, slip.advice)
    return Draft(puzzle.plan(rng, slip, checked=check), (fault,))


def missing(puzzle: Puzzle, rng: Random, value: str) -> Draft:
    """The last finding filled in from memory with `value`; the calls before it are made."""
    plan = puzzle.plan(rng)
    start, stop = plan.span
    what = plan.steps[stop - 1].purpose
    tool = plan.steps[stop - 1].calls[0].tool
    via, claim = rng.choice(_FROM_MEMORY), plan.asserted.replace(OUT, value)
    gap = Step(
        rng.choice(("", "The rest I know.", "No more calls are needed.")),
        (),
        Role.GATHER,
        what,
        claim,
        via,
        Flaw.MISSING_CALL,
    )
    kept = (*plan.steps[:start], gap, *plan.steps[stop:])
    fault = Fault(
        Flaw.MISSING_CALL,
        f"states {what} from memory",
        f"no {tool} call backs it",
        f"find {what} with {tool} before answering",
    )
    return Draft(replace(plan, steps=kept, answer=value), (fault,))


def guessed(puzzle: Puzzle, rng: Random, value: str, *, lucky: bool) -> Draft:
    """An answer out of thin air, at best after a first look."""
    plan = puzzle.plan(rng)
    first = plan.steps[:1] if len(plan.steps) > 1 and rng.random() < 0.6 else ()
    first = tuple(replace(step, claim="", via="") for step in first)
    thought = Step(rng.choice(_NO_TOOLS), (), Role.GATHER, puzzle.goal)
    tools = " and ".join(dict.fromkeys(call.tool for step in plan.steps for call in step.calls))
    fault = Fault(
        Flaw.LUCKY_GUESS if lucky else Flaw.UNVERIFIED_GUESS,
        "gives an answer that nothing in the work supports",
        f"nothing was done to find {puzzle.goal}",
        f"work it out with {tools}",
    )
    return Draft(replace(plan, steps=(*first, thought), closing=rng.choice(_ESTIMATES), answer=value), (fault,))


def invented(puzzle: Puzzle, rng: Random, value: str | None) -> Draft:
    """A call on what does not exist. With a `value` it is made up in its place; else the work starts over soundly."""
    step = replace(puzzle.invention(rng), flaw=Flaw.INVENTED_FILE)
    plan = puzzle.plan(rng)
    call = step.calls[0].shown()
    if value is None:
        begin = replace(plan.steps[0], thought=f"{rng.choice(_RECOVERED)} {plan.steps[0].thought}")
        fault = Fault(
            Flaw.INVENTED_FILE,
            f"starts with {call}, which nothing in the task mentions",
            "it does not exist",
            "look first at what there is",
        )
        return Draft(plan.put(0, begin).insert(0, step), (fault,))
    fault = Fault(
        Flaw.INVENTED_FILE,
        f"calls {call}, which does not exist, and makes its content up",
        "the tool returned an error",
        "use what the task provides and report what it says",
    )
    gap = Step(rng.choice(_AFTER_ERROR), (), Role.GATHER, step.purpose)
    return Draft(replace(plan, steps=(step, gap), closing=rng.choice(_ESTIMATES), answer=value), (fault,))


def ignored(puzzle: Puzzle, rng: Random, *, check: bool = False) -> Draft:
    """Sound work whose result the answer contradicts."""
    plan = puzzle.plan(rng, checked=check)
    call = plan.steps[plan.span[1] - 1].calls[0]
    fault = Fault(
        Flaw.IGNORED_RESULT,
        f"answers with another value than {call.tool} returned",
        "the tool's result was sound",
        f"give what the {call.tool} call found, or show why it is wrong",
    )
    return Draft(replace(plan, closing=rng.choice(_OVERRULED), answer=puzzle.wrong(rng)), (fault,))


def near(puzzle: Puzzle, rng: Random, *, check: bool = False) -> Draft:
    """Sound work and a slip in the last line."""
    value, did = puzzle.near(rng)
    fault = Fault(
        Flaw.NEAR_MISS,
        did,
        "the work before it is sound",
        "compare the last line with the result and the question",
    )
    return Draft(replace(puzzle.plan(rng, checked=check), answer=value), (fault,))


def with_needless(draft: Draft, puzzle: Puzzle, rng: Random) -> Draft:
    """One more call: beside the point, or the same as one before."""
    plan = draft.plan
    with_calls = [place for place, step in enumerate(plan.steps) if step.calls]
    if with_calls and rng.random() < 0.5:
        place = rng.choice(with_calls)
        step = replace(plan.steps[place], thought=rng.choice(_ONCE_MORE), role=Role.EXTRA, claim="", via="")
        call = step.calls[0].shown()
        did, should, place = f"repeats {call} with the same arguments", "the result was there already", place + 1
    else:
        step, place = puzzle.detour(rng), rng.randrange(len(plan.steps) + 1)
        call = step.calls[0].shown()
        did, should = f"calls {call}", "the question does not need it"
    fault = Fault(Flaw.NEEDLESS_CALL, did, should, "leave out calls that bring nothing new")
    return Draft(plan.insert(place, replace(step, flaw=Flaw.NEEDLESS_CALL)), (*draft.faults, fault))


def with_mended(draft: Draft, puzzle: Puzzle, rng: Random) -> Draft:
    """A call fails, the agent sees why, and makes it again as it should be."""
    plan = draft.plan
    place = rng.choice([at for at, step in enumerate(plan.steps) if _can_fail(step)])
    step = plan.steps[place]
    bad = replace(puzzle.mended(rng, step), flaw=Flaw.MENDED)
    again = replace(step, thought=rng.choice(_RECOVERED))
    fault = Fault(
        Flaw.MENDED,
        f"first makes a call that fails, {bad.calls[0].shown(40)}",
        "the next call puts it right",
        "check names before calling",
    )
    return Draft(plan.put(place, again).insert(place, bad), (*draft.faults, fault))


def _can_fail(step: Step) -> bool:
    call = step.calls[0] if step.calls else None
    return call is not None and call.tool != "search" and call.arguments.get("path") != "."


def steps_with(plan: Plan, flaw: Flaw) -> list[Step]:
    """The steps that show a flaw."""
    return [step for step in plan.steps if step.flaw is flaw]
