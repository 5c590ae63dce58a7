"""A scripted agent and judge behind one address, whose answers depend on the question alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from reagent_sdk.testing import Fault, Reply

NUMBER = re.compile(r"Question (\d+):")
DRAFT, FIRST_VERDICT, REVISION, SECOND_VERDICT = "draft", "first verdict", "revision", "second verdict"


def rows(count: int) -> str:
    """Questions in the form of GSM8K; the right answer of question N is N."""
    line = '{{"question": "Question {0}: how much is {0} and nothing?", "answer": "It is {0}.\\n#### {0}"}}\n'
    return "".join(line.format(number) for number in range(1, count + 1))


def kind_of(body: dict[str, Any]) -> tuple[int, str]:
    """Which question a request is about, and what it asks for."""
    text = "\n".join(str(message.get("content")) for message in body["messages"])
    found = NUMBER.search(text)
    assert found is not None, text
    if "<score>" in text:
        return int(found[1]), SECOND_VERDICT if "after the critique" in text else FIRST_VERDICT
    return int(found[1]), REVISION if len(body["messages"]) > 2 or "look again at" in text else DRAFT


class Script:
    """The answers, and a record of what was asked.

    One question in three has a wrong draft, and one in five a wrong revision; the judge scores by other remainders, so
    that all four combinations of right and wrong, better and worse come up.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []

    def __call__(self, body: dict[str, Any]) -> Reply | Fault:
        number, kind = kind_of(body)
        self.asked.append((number, kind))
        return Reply(self.text(number, kind), usage=(10 + number, 5))

    def text(self, number: int, kind: str) -> str:
        if kind == DRAFT:
            return "The sum of both is needed. " * 30 + f"The first try gives \\boxed{{{number if number % 3 else 0}}}"
        if kind == REVISION:
            return f"Now, after the critique, \\boxed{{{number if number % 5 else 0}}}"
        score = 0.5 if kind == FIRST_VERDICT else (0.8 if number % 2 else 0.2)
        return f"<analysis>a</analysis><critique>look again at {number}</critique><score>{score}</score>"

    @property
    def counts(self) -> Counter[tuple[int, str]]:
        return Counter(self.asked)
