"""From a labelled trajectory to token ids: the prompt that the SDK serves, and the text that its parser reads."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reagent_sdk import framing
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message
from reagent_sdk.prompts import GRADE, JudgePrompt, judge_prompt
from reagent_sdk.verdict import Verdict
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.config import JudgeConfig

IGNORED = -100
"""The label of a token that carries no loss."""


@dataclass(frozen=True)
class Encoded:
    """One row as the model sees it.

    Attributes:
        row: id of the labelled trajectory.
        input_ids: all of its tokens.
        labels: the tokens that are learnt; IGNORED for all others.
    """

    row: str
    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Example(Encoded):
    """A row for a judge: prompt and target. The labels leave out the grade, which has a loss of its own.

    Attributes:
        grade_at: index in `input_ids` of the grade's digit; None without a grade.
        score: target score in [0, 1].
    """

    grade_at: int | None
    score: float


def prompt_messages(row: LabelledTrajectory, prompt: JudgePrompt, *, max_chars: int, seed: int) -> list[Message]:
    """The judge's input for a row. The frame's code is another for each row, as it is for each question when served."""
    secret = hashlib.sha256(f"{seed}:{row.id}".encode("utf-8", "surrogatepass")).digest()
    code = framing.nonce(secret, row.task.question)
    messages, _ = prompt.messages(row.task, row.trajectory, code=code, max_chars=max_chars)
    return messages


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a prompt, up to where the judge begins to write."""
    plain = [{**message.to_openai(), "content": message.text} for message in messages]
    ids: list[int] = tokenizer.apply_chat_template(plain, add_generation_prompt=True, return_dict=True)["input_ids"]
    return ids


def sft_examples(
    rows: Iterable[LabelledTrajectory],
    tokenizer: Any,
    config: JudgeConfig,
    preferred: tuple[float, float] | None,
    left_out: Counter[str],
) -> list[Example]:
    """The rows that can be trained on; what is left out is counted by reason.

    A row with analysis, critique and score teaches all of them. Of a preference pair, or a row with a score alone,
    only the grade is taught, and only under a graded prompt.
    """
    prompt = judge_prompt(config.prompt_version)
    examples = []
    for row in rows:
        score = row.score
        if score is None and row.preferred is not None and preferred is not None:
            score = preferred[0] if row.preferred else preferred[1]
        if score is None or not (row.has_targets or prompt.graded):
            left_out["no score, or no words for it"] += 1
            continue
        messages = prompt_messages(row, prompt, max_chars=config.max_chars, seed=config.seed)
        try:
            example = _example(row, score, encode_prompt(tokenizer, messages), tokenizer, prompt)
        except InvalidInput:
            left_out["targets that the verdict format cannot hold"] += 1
            continue
        if len(example.input_ids) > config.max_tokens:
            left_out[f"more than {config.max_tokens} tokens"] += 1
            continue
        examples.append(example)
    return examples


def _example(
    row: LabelledTrajectory, score: float, prompt_ids: list[int], tokenizer: Any, prompt: JudgePrompt
) -> Example:
    words = row.has_targets
    verdict = Verdict.of(score, row.critique or "-", analysis=row.analysis or "-")
    text = prompt.target(verdict)
    head, mark, rest = text.partition(GRADE) if prompt.graded else ("", "", text)
    opening = _ids(tokenizer, head + mark)
    if not words:  # only the digit is taught; what would come after it is left to other rows
        rest = rest[:1]
    ending = [tokenizer.eos_token_id] if words else []
    target = opening + _ids(tokenizer, rest) + ending
    labels = [IGNORED] * len(prompt_ids) + (target if words else [IGNORED] * len(target))
    grade_at = len(prompt_ids) + len(opening) if prompt.graded else None
    if grade_at is not None:
        labels[grade_at] = IGNORED
    return Example(row.id, prompt_ids + target, labels, grade_at, score)


def _ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
