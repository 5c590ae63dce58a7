"""A tiny Llama that writes whole verdicts, all grades and critiques equally likely; see `tiny_pieces`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reagent_training.data.record import LabelledTrajectory, LabelSource
from tiny_pieces import piece_tokenizer, write_pieces
from transformers import PreTrainedTokenizerFast

from reagent_sdk.prompts import judge_prompt

HEAD = "<analysis>\nGrade: "
MIDDLE = "\nI checked each step.\n</analysis>\n<critique>\n"
HELPFUL, USELESS, LEAK = "Check the second step again.", "It is nice work.", "The answer is 42."
TAIL = "\n</critique>\n<score>0.50</score>"
ASKED = "The record is closed. Write the three blocks of your verdict now."
HIDDEN = 192


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and the pieces of a verdict."""
    long = judge_prompt("rrm-2").instructions  # one token, or each prompt would be five times as long
    return piece_tokenizer((HEAD, MIDDLE, HELPFUL, USELESS, LEAK, TAIL, long, ASKED))


def write_judge(folder: Path, *, grades: str = "0123456789", critiques: tuple[str, ...] = (HELPFUL, USELESS)) -> Path:
    """Writes weights that answer any prompt with a verdict of one of these grades and critiques."""
    follows = {"\n": [HEAD], HEAD: list(grades), MIDDLE: list(critiques), TAIL: ["<|im_end|>"]}
    follows |= {grade: [MIDDLE] for grade in grades} | {critique: [TAIL] for critique in critiques}
    write_pieces(folder, tokenizer(), follows, hidden=HIDDEN, intermediate=96, positions=4096)
    return folder


def row(name: str, answer: str, *, score: float | None = None, group: str = "q", **fields: Any) -> LabelledTrajectory:
    """Labelled work of one message on a short question."""
    data = {
        "id": name,
        "group": group,
        "source": "made",
        "label_source": LabelSource.OUTCOME,
        "task": {"question": "What is 6 times 7?", "id": group},
        "trajectory": {"messages": [{"role": "assistant", "content": answer}], "answer": answer},
        "score": score,
        "metadata": {"reference": ["42"]},
    }
    return LabelledTrajectory.model_validate(data | fields)
