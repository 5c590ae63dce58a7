"""Writes the analysis of generated work: what is checked, in order, tool by tool; four lines of 200 characters."""

from __future__ import annotations

import re
from random import Random

from reagent_training.synth.plan import Flaw, Role, Step
from reagent_training.synth.puzzle import Draft, Fault

MOST_LINES, MOST_CHARS = 4, 200
_AT_THE_END = (Flaw.IGNORED_RESULT, Flaw.NEAR_MISS)
_GUESSES = (Flaw.UNVERIFIED_GUESS, Flaw.LUCKY_GUESS)
_NEEDS = ("Asked for: {p}.", "The question asks for {p}.", "The goal is {p}.", "To be found: {p}.")
_ALL_GOOD = (
    "Step {n}: {c}. Fits the question.",
    "Step {n}, {c}: needed, arguments right.",
    "Step {n} calls {c}, as it should.",
)
_ENDS_WELL = (
    "The answer is what the last result says.",
    "The final answer follows from the results.",
    "The last line agrees with the tools.",
)
_BACKED = ("It was checked once more.", "A check confirms it.", "The check was real and agrees.")


def write_analysis(draft: Draft, places: tuple[int | None, ...], goal: str, rng: Random) -> str:
    """The analysis, without the answer.

    Args:
        draft: the work with its faults.
        places: index of the message of each step, None for steps without calls.
        goal: what is asked for, as a noun phrase.
        rng: draws the wording.
    """
    lines = [rng.choice(_NEEDS).format(p=goal)]
    lines += _packed(
        [_step(step, place, draft.faults, rng) for step, place in zip(draft.plan.steps, places, strict=True)]
    )
    lines.append(_end(draft, rng))
    return "\n".join(_cut(line) for line in lines)


def _step(step: Step, place: int | None, faults: tuple[Fault, ...], rng: Random) -> str:
    fault = next((fault for fault in faults if fault.flaw is step.flaw), None)
    if place is None:
        return f"Then it {fault.did}; {fault.should}." if fault else ""
    called = " and ".join(call.shown(30) for call in step.calls)
    if step.role is Role.CHECK and any(fault.flaw is Flaw.WRONG_ARGUMENT for fault in faults):
        return f"Step {place + 1} checks with the same mistake; it proves nothing."
    if fault is None:
        return rng.choice(_ALL_GOOD).format(n=place + 1, c=called)
    return f"Step {place + 1}, {called}: {fault.did}; {fault.should}."


def _packed(notes: list[str]) -> list[str]:
    """The notes in two lines, shortened evenly where they do not fit. What is wrong is never shortened away first."""
    notes = [note for note in notes if note]
    if not notes:
        return ["No tool was called."]
    if len(" ".join(notes)) <= MOST_CHARS:
        return [" ".join(notes)]
    notes = [_short(note) for note in notes] if len(" ".join(notes)) > 2 * MOST_CHARS - 40 else notes
    lines = [""]
    for note in notes:
        if lines[-1] and len(lines[-1]) + 1 + len(note) > MOST_CHARS and len(lines) < 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {note}".strip()
    return lines


def _short(note: str) -> str:
    """A note on a sound step in few words: which step, which tool."""
    if ";" in note:
        return note
    found = re.search(r"Step (\d+)\D*?(search|browse|python|file_reader)\(", note)
    return f"Step {found[1]} ({found[2]}): fine." if found else note


def _end(draft: Draft, rng: Random) -> str:
    kinds = {fault.flaw: fault for fault in draft.faults}
    for flaw in (*_GUESSES, *_AT_THE_END):
        if flaw in kinds:
            fault = kinds[flaw]
            return f"The final answer: it {fault.did}; {fault.should}."
    if Flaw.MISSING_CALL in kinds:
        return "The final answer rests on something that no tool returned."
    if Flaw.INVENTED_FILE in kinds and not draft.plan.places(Role.COMPUTE) and not draft.plan.places(Role.GATHER)[1:]:
        return "The final answer rests on made-up content."
    if Flaw.WRONG_ARGUMENT in kinds:
        return "The final answer repeats the result of a wrong call, and so the mistake goes all the way through."
    end = rng.choice(_ENDS_WELL)
    return f"{end} {rng.choice(_BACKED)}" if draft.plan.places(Role.CHECK) else end


def _cut(line: str) -> str:
    line = " ".join(line.replace("<", "").split())
    return line if len(line) <= MOST_CHARS else line[: MOST_CHARS - 3].rsplit(" ", 1)[0] + "..."
