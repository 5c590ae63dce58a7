"""Analysis and critique in words, from labels of steps, reasons and what can be seen of the work.

The texts have the shape that a constrained judge can write (`prompts.VERDICT_GRAMMAR`): up to four lines of analysis
and one line of critique, each of 12 to 200 characters. None of the phrases here states a value, so a critique that is
made of them alone gives no answer away.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reagent_training.data.signs import Sign

LONGEST = 200
SHORTEST = 12

_CLEAN = (
    "No flaw found: the steps build on one another and the answer rests on them. Keep it as it is.",
    "The work holds: every step serves the question and the answer follows from it. Nothing needs to change.",
    "Sound work; I see no step to correct. Give the same answer again, as plainly.",
)
_FINAL = (
    "The final answer does not hold: compare it with every condition of the question before you give it.",
    "The conclusion is the weak point: derive the answer again from what the work really shows.",
    "Go back over the steps: the final answer depends on something in them that nobody has checked.",
)
_UNANSWERED = "The work ends without an answer: finish the open step and then answer the question as it was asked."


@dataclass(frozen=True)
class Findings:
    """What is known of a piece of work.

    Attributes:
        signs: its steps.
        correct: whether the answer is right; None where nobody knows.
        labels: index of a message -> 1 good, 0 neutral, -1 wrong.
        reasons: index of a message -> why it is wrong, in somebody's words.
        answered: whether it ends with an answer.
        key: chooses between phrasings; the same key gives the same words.
    """

    signs: Sequence[Sign]
    correct: bool | None
    labels: Mapping[int, int] = field(default_factory=dict)
    reasons: Mapping[int, str] = field(default_factory=dict)
    answered: bool = True
    key: str = ""

    @property
    def flaw(self) -> Sign | None:
        """The first step that is wrong; where steps have no labels, the first that failed or repeats another."""
        if self.labels:
            return next((sign for sign in self.signs if self.labels.get(sign.message) == -1), None)
        return next((sign for sign in self.signs if sign.failed or sign.repeated), None)


def analysis(found: Findings) -> str:
    """The judge's own check of the work, up to four lines."""
    flaw = found.flaw
    lines = [_overview(found.signs)]
    if flaw is not None:
        before = [sign for sign in found.signs if sign.message < flaw.message]
        if before and found.labels:
            lines.append(f"Up to there the work holds: {_many(len(before), 'step')} before {_name(flaw)}.")
        lines.append(f"{_name(flaw, capital=True)}: {found.reasons.get(flaw.message) or _why(flaw)}")
    elif found.labels:
        idle = sum(found.labels.get(sign.message) == 0 for sign in found.signs)
        lines.append(f"{_many(idle, 'step')} add nothing new, none is wrong." if idle else "Each step serves the task.")
    lines.append(_outcome(found, flaw))
    return "\n".join(one_line(line) for line in lines)


def critique(found: Findings) -> str:
    """Advice for the agent, one line: the most important flaw and what to do about it."""
    flaw = found.flaw
    if flaw is not None and (found.labels or not found.correct):
        why = (found.reasons.get(flaw.message) or _why(flaw)).rstrip(". ")
        return one_line(f"{_name(flaw, capital=True)}: {why}. {_advice(flaw)}", keep=len(_advice(flaw)) + 1)
    if not found.answered:
        return _UNANSWERED
    return _pick(_CLEAN if found.correct else _FINAL, found.key)


def one_line(text: str, keep: int = 0) -> str:
    """A text on one line of at most 200 characters, without `<`, cut at the end of a sentence or a word.

    Args:
        text: what to write.
        keep: so many characters at the end are kept whole when the text is cut.
    """
    text = re.sub(r"[\x00-\x1f]+", " ", " ".join(text.split())).replace("<", "(").strip()
    if len(text) > LONGEST:
        head, tail = (text[:-keep], text[-keep:]) if keep else (text, "")
        text = _cut(head, LONGEST - keep) + tail
    return text if len(text) >= SHORTEST else f"It says: {text}".ljust(SHORTEST, ".")


def _cut(text: str, room: int) -> str:
    """The first whole sentences that fit; where not even one does, whole words."""
    short = text[: room - 3]
    ends = [match.end() for match in re.finditer(r"[.!?](?=\s)", short)]
    if ends and ends[-1] >= room // 3:
        return short[: ends[-1]]
    return short.rsplit(" ", 1)[0].rstrip(",;:") + "..."


def _overview(signs: Sequence[Sign]) -> str:
    calls = sum(sign.calls for sign in signs)
    tools = list(dict.fromkeys(name for sign in signs for name in sign.tools))
    used = f", {_many(calls, 'call')} of {', '.join(tools[:4])}" if calls else ", no tool calls"
    failed, repeated = sum(sign.failed for sign in signs), sum(sign.repeated for sign in signs)
    seen = [f"{count} {what}" for count, what in ((failed, "failed"), (repeated, "repeated")) if count]
    return f"{_many(len(signs), 'step')}{used}{' (' + ', '.join(seen) + ')' if seen else ''}."


def _outcome(found: Findings, flaw: Sign | None) -> str:
    if not found.answered:
        return "It ends without an answer to the question."
    if found.correct is None:
        return "Whether the answer is right cannot be told from this alone."
    if found.correct:
        return "The answer is right, but this work does not carry it." if flaw else "The answer is right and supported."
    if found.labels and flaw is None:
        return "The steps are sound, yet the final answer is wrong: a near miss."
    return "The final answer is wrong."


def _why(flaw: Sign) -> str:
    if flaw.failed:
        return "the call fails, and nothing comes of it" if flaw.calls else "it makes no valid call"
    if flaw.repeated:
        return "it repeats an earlier call without a new purpose"
    if flaw.number is None:
        return "the conclusion does not follow from what was found"
    return "the call does not bring what the question needs" if flaw.calls else "what it claims is not backed"


def _advice(flaw: Sign) -> str:
    if flaw.failed:
        return "Read the error and correct the call." if flaw.calls else "Call the tool in its proper form."
    if flaw.repeated:
        return "Ask for something new instead."
    if flaw.number is None:
        return "Check the answer against every condition of the question."
    return "Ask for the missing fact itself." if flaw.calls else "Redo this step and verify it before you build on it."


def _name(sign: Sign, *, capital: bool = False) -> str:
    name = "the final answer" if sign.number is None else f"step [{sign.number}]"
    if sign.tools:
        name += f" ({', '.join(sign.tools)[:40]})"
    return name[0].upper() + name[1:] if capital else name


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _pick(options: Sequence[str], key: str) -> str:
    return options[int(hashlib.sha256(key.encode()).hexdigest(), 16) % len(options)]
