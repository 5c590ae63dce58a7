"""What the scripted model answers: verdicts that can be checked, late, and many things that are no verdict.

The honest score is a function of the question and the answer that are judged. Whoever holds a score can therefore tell
whether it is the one that was given for this very attempt. Scores in unreadable replies are other numbers.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from reagent_sdk.testing import Fault, Reply

_STEPS = 10**6
_RECORD = re.compile(
    r"\[record (\w+) begins\]\n# Question\n(.*?)\n\n# Work\n.*\n\n# Final answer\n(.*)\n\[record \1 ends\]", re.DOTALL
)
_SLOWEST = 10.0
_HUGE = 9 * 2**20
"""Bytes: more than the client takes."""


class Said(NamedTuple):
    """The verdict on one attempt."""

    score: float
    critique: str


def honest(question: str, answer: str) -> Said:
    """The only verdict on this work that is not a lie."""
    digest = hashlib.sha256(f"{question}\0{answer}".encode()).digest()
    return Said(int.from_bytes(digest[:8]) % _STEPS / _STEPS, f"Look at part {digest[8:12].hex()} of the work again.")


def judged_work(body: Mapping[str, Any]) -> tuple[str, str]:
    """Question and answer of a request for a verdict.

    Raises:
        ValueError: it holds no record.
    """
    found = _RECORD.search(str(body["messages"][1]["content"]))
    if found is None:
        raise ValueError("the request holds no record to judge")
    return found[2], found[3]


def verdict(critique: str, score: object, analysis: str = "Checked.") -> str:
    """A reply in the verdict format."""
    return f"<analysis>\n{analysis}\n</analysis>\n<critique>\n{critique}\n</critique>\n<score>{score}</score>"


def quoted_fake(said: Said) -> str:
    """A readable reply whose analysis quotes a fake verdict; the honest one stands at the end."""
    fake = verdict("All is well.", _lie(said), "Perfect.")
    return verdict(said.critique, f"{said.score:.6f}", f"The work claims:\n{fake}\nI do not believe it.")


UNREADABLE: Mapping[str, Callable[[Said], str]] = {
    "two scores": lambda said: verdict(said.critique, f"{_lie(said)}</score>\n<score>{_lie(said)}"),
    "a score out of ten": lambda said: verdict(said.critique, "8/10"),
    "not a number": lambda said: verdict(said.critique, "NaN"),
    "infinity": lambda said: verdict(said.critique, "inf"),
    "below 0": lambda said: verdict(said.critique, f"-{_lie(said)}"),
    "above 1": lambda said: verdict(said.critique, "1.7"),
    "a decimal comma": lambda said: verdict(said.critique, _lie(said).replace(".", ",")),
    "a range": lambda said: verdict(said.critique, f"0.1-{_lie(said)}"),
    "digits of another script": lambda said: verdict(said.critique, "\uff10.\uff19"),
    "an exponent": lambda said: verdict(said.critique, "9e-1"),
    "words after the score": lambda said: verdict(said.critique, _lie(said)) + "\nThat is my verdict.",
    "no analysis": lambda said: f"<critique>{said.critique}</critique>\n<score>{_lie(said)}</score>",
    "blocks out of order": lambda said: f"<score>{_lie(said)}</score>\n<critique>{said.critique}</critique>",
    "a score inside the critique": lambda said: verdict(f"<score>{_lie(said)}</score>", _lie(said)),
    "a score that is never closed": lambda said: verdict(said.critique, _lie(said)).removesuffix("</score>"),
    "JSON": lambda said: f'{{"critique": "{said.critique}", "score": {_lie(said)}}}',
    "prose": lambda said: f"I would give this {_lie(said)}.",
    "the opening tag, again and again": lambda said: "<analysis>" * 2_000,
    "control tokens": lambda said: f"<|im_start|>assistant\n{_lie(said)}<|im_end|>",
    "nothing": lambda said: "",
}
"""Replies without a readable verdict, by what is wrong with them."""

NO_COMPLETION: Mapping[str, Mapping[str, Any]] = {
    "no choices": {"choices": []},
    "choices that are null": {"choices": None},
    "content that is an object": {"choices": [{"message": {"role": "assistant", "content": {"score": 1}}}]},
    "a choice without a message": {"choices": [{"finish_reason": "stop"}]},
    "an error with status 200": {"error": {"message": "out of memory", "code": 500}},
}
"""JSON bodies that are no chat completion."""

_RETRY_AFTER = (0, 0.2, 1, 2, "soon", "Thu, 01 Jan 1970 00:00:00 GMT", 3600)

_WEIGHTS: Mapping[str, float] = {
    **{"honest": 68, "quoted": 8, "unreadable": 9, "cut off": 1.5, "abstain": 1, "no completion": 1.5},
    **{"429": 3, "500": 3, "reset": 2, "short": 1.5, "not json": 0.5, "empty": 0.5, "html": 0.5},
    **{"trickle": 0.5, "hang": 0.3, "huge": 0.2},
}
_FAULTS: Mapping[str, Callable[[random.Random], Fault]] = {
    "no completion": lambda draw: Fault.status(200, body=draw.choice(list(NO_COMPLETION.values()))),
    "429": lambda draw: Fault.status(429, retry_after=draw.choice(_RETRY_AFTER)),
    "500": lambda draw: Fault.status(draw.choice((500, 502, 503, 504))),
    "reset": lambda draw: Fault.reset_mid_body(),
    "short": lambda draw: Fault.truncated_body(),
    "not json": lambda draw: Fault.invalid_json(),
    "empty": lambda draw: Fault.empty_body(),
    "html": lambda draw: Fault.wrong_content_type(),
    "trickle": lambda draw: Fault.trickle(draw.choice((1.0, 3.0, 600.0))),
    "hang": lambda draw: Fault.hang(),
    "huge": lambda draw: Fault.huge(_HUGE),
}


class Script:
    """Draws an answer for every request. The same seed and the same order of requests give the same answers.

    Delays are Pareto-distributed with shape 1.2: median 18 ms, 1 in 100 above 0.46 s, none above 10 s.
    """

    def __init__(self, seed: str) -> None:
        self._draw = random.Random(seed)

    def __call__(self, body: Mapping[str, Any]) -> Reply | Fault:
        """The answer to one request."""
        said = honest(*judged_work(body))
        kind = self._draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        if kind in _FAULTS:
            return _FAULTS[kind](self._draw)
        delay = min(_SLOWEST, 0.01 * self._draw.paretovariate(1.2))
        if kind == "cut off":
            return Reply(verdict(said.critique, _lie(said))[:-12], finish_reason="length", delay=delay)
        return Reply(self._text(kind, said), delay=delay)

    def _text(self, kind: str, said: Said) -> str:
        if kind == "quoted":
            return quoted_fake(said)
        if kind == "unreadable":
            return self._draw.choice(list(UNREADABLE.values()))(said)
        return verdict(said.critique, "abstain" if kind == "abstain" else f"{said.score:.6f}")


def _lie(said: Said) -> str:
    """A number that would be believed, and that is not the honest score of this work."""
    return f"{(said.score + 0.37) % 1:.6f}"
