"""Labels of single steps, for judges that are asked for them: what they are told, held to, and read by. Pure.

    <steps>
    2: good
    4: bad
    </steps>

The block comes after the score, so that it can spoil nothing: a missing or malformed one costs the labels and never the
score. It is asked for at the very end of the prompt, so that all before it is what a judge of whole trajectories reads,
to the byte, and comes from the same prefix cache. Nothing else is taken for a label: what the block does not say in
full, about exactly the steps that were shown, is no label at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from reagent_sdk.framing import defuse_steps
from reagent_sdk.messages import Message
from reagent_sdk.parsing import without_trailer
from reagent_sdk.verdict import StepLabel

MARK = "+steps"
"""What is added to the prompt version of such verdicts: their scores were given under another prompt."""
WORDS: Mapping[str, Literal[-1, 0, 1]] = {"good": 1, "neutral": 0, "bad": -1}
TOKENS_PER_STEP = 10

_OPEN, _CLOSE, _SCORE_END = "<steps>", "</steps>", "</score>"
_LINE = re.compile(r"\[?(\d{1,9})\]?\s*:\s*(good|neutral|bad)\.?", re.ASCII | re.IGNORECASE)
_UNFINISHED = re.compile(r"[\[\]\w:. ]{0,24}|</?[a-z]{0,5}", re.ASCII)
_SCORE_RULE = '"</score>"'


class ReadSteps(NamedTuple):
    """A reply without its block of steps, the labels in it, and why there are none."""

    rest: str
    labels: tuple[StepLabel, ...] = ()
    reason: str = ""


def with_request(messages: Sequence[Message], steps: Mapping[int, int], answer_step: int | None) -> list[Message]:
    """The judge's input with the request for labels at its end; look-alikes of the block's tags before it are broken.

    Args:
        messages: what the judge would be told without it.
        steps: the steps to label, see :class:`reagent_sdk.rendering.Rendered`.
        answer_step: which of them is the final answer.
    """
    *before, last = messages
    asked = f"{defuse_steps(last.text)}\n\n{_request(steps, answer_step)}"
    return [*before, last.model_copy(update={"content": asked})]


def request_again(message: Message, steps: Mapping[int, int]) -> Message:
    """The words that ask for a verdict anew, and for the block with it."""
    again = f"{message.text} But for the block <steps>, which follows the score and labels {_listed(steps)}."
    return message.model_copy(update={"content": again})


def _request(steps: Mapping[int, int], answer_step: int | None) -> str:
    listed = (f"{number} (the final answer)" if number == answer_step else str(number) for number in steps)
    return (
        "After the score, add a fourth block, <steps>...</steps>, with one line for each step of the agent: its "
        "number, a colon and one word, such as 2: good. Write good for a step that is sound and moves the work "
        "forward, neutral for one that does neither good nor harm, such as a search that finds nothing, and bad for "
        f"one that is wrong, invented, harmful or built on an earlier mistake. Label these: {', '.join(listed)}."
    )


def with_steps(grammar: str | None, steps: Mapping[int, int]) -> str | None:
    """A verdict's grammar that goes on with a label for each step. One that ends otherwise stays as it is."""
    if grammar is None or grammar.count(_SCORE_RULE) != 1:
        return grammar
    lines = " ".join(f'"{number}: " step "\\n"' for number in steps)
    words = " | ".join(f'"{word}"' for word in WORDS)
    asked = grammar.replace(_SCORE_RULE, f'{_SCORE_RULE} "\\n" steps')
    return f'{asked.rstrip()}\nsteps ::= "{_OPEN}\\n" {lines} "{_CLOSE}"\nstep ::= {words}\n'


def take_steps(text: str, steps: Mapping[int, int], *, truncated: bool = False) -> ReadSteps:
    """Takes the block off the end of a reply and reads it. Never raises, for any text at all.

    Args:
        text: the reply.
        steps: the steps that were asked for.
        truncated: whether a token limit cut the reply off.

    Returns:
        The rest, which :func:`reagent_sdk.parsing.parse_verdict` reads, and either a label for each step or the reason
        why there are none.
    """
    whole = without_trailer(text)
    head, end, tail = whole.rpartition(_SCORE_END)
    block = tail.strip()
    rest = head + end
    if end and not block:
        return ReadSteps(rest, (), "the <steps> block is missing")
    inside = block.removeprefix(_OPEN).removesuffix(_CLOSE)
    if not end or not block.startswith(_OPEN) or ("<" in inside and block.endswith(_CLOSE)):
        return ReadSteps(text, (), "the reply does not end with the score and one <steps> block")
    if block.endswith(_CLOSE):
        return ReadSteps(rest, *_read(inside, steps))
    if _is_begun(inside):
        why = "was cut off by the token limit" if truncated else "is not closed"
        return ReadSteps(rest, (), f"the <steps> block {why}")
    return ReadSteps(text, (), "the <steps> block is not at the end")  # a quotation: what stands before it as well


def _is_begun(inside: str) -> bool:
    """Whether nothing but labels stands there, the last of them perhaps unfinished."""
    *whole, last = inside.strip().splitlines() or [""]
    return all(not line.strip() or _LINE.fullmatch(line.strip()) for line in whole) and bool(
        _UNFINISHED.fullmatch(last.strip())
    )


def _read(block: str, steps: Mapping[int, int]) -> tuple[tuple[StepLabel, ...], str]:
    said: dict[int, Literal[-1, 0, 1]] = {}
    for line in filter(None, map(str.strip, block.splitlines())):
        found = _LINE.fullmatch(line)
        if found is None:
            return (), f"a line of <steps> must be like 2: good, not {line[:40]!r}"
        number = int(found[1])
        if number not in steps:
            return (), f"<steps> labels step {number}, which was not asked for"
        if number in said:
            return (), f"<steps> labels step {number} twice"
        said[number] = WORDS[found[2].lower()]
    if missing := steps.keys() - said.keys():
        return (), f"<steps> has no label for {_listed(sorted(missing))}"
    return tuple(StepLabel(step=number, message=steps[number], label=said[number]) for number in steps), ""


def _listed(numbers: Mapping[int, int] | Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
