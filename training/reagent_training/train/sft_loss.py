"""The loss of judge SFT: cross-entropy of the text, and of the grade against two-hot targets. Imports torch and TRL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from trl import SFTTrainer

from reagent_sdk.grading import DIGITS, two_hot
from reagent_training.train.examples import IGNORED


class Collator:
    """Pads examples on the right.

    Returns input_ids, attention_mask and labels (B, T); grade_at (B,), -1 without a grade; grade (B, 10).
    """

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """One batch of rows of the data set."""
        longest = max(len(row["input_ids"]) for row in rows)

        def padded(name: str, filler: int) -> torch.Tensor:
            return torch.tensor([row[name] + [filler] * (longest - len(row[name])) for row in rows])

        mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows])
        return {
            "input_ids": padded("input_ids", self._pad),
            "attention_mask": mask,
            "labels": padded("labels", IGNORED),
            "grade_at": torch.tensor([-1 if row["grade_at"] is None else row["grade_at"] for row in rows]),
            "grade": torch.tensor([two_hot(row["score"]) for row in rows]),
        }


def digit_ids(tokenizer: Any) -> list[int]:
    """Token ids of the ten digits as they follow a blank that is a token of its own."""
    return [tokenizer(digit, add_special_tokens=False)["input_ids"][-1] for digit in DIGITS]


class JudgeSFTTrainer(SFTTrainer):  # type: ignore[misc]  # trl is not typed
    """TRL's trainer with the grade's loss beside that of the text.

    loss = mean over text tokens of -log p(token) + grade_weight * mean over rows of -sum_d t_d log p(digit d),
    where t is the two-hot target and p is over the whole vocabulary, so that mass on other tokens costs as well.
    Only the logits from the first target token on are computed: most of a row is prompt.
    """

    def __init__(self, *args: Any, grade_weight: float, digits: Sequence[int], **options: Any) -> None:
        super().__init__(*args, **options)
        self._grade_weight = grade_weight
        self._digits = list(digits)

    def compute_loss(
        self, model: Any, inputs: dict[str, torch.Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The loss of one batch; see the class."""
        labels, grade_at, grade = inputs["labels"], inputs["grade_at"], inputs["grade"]
        length = labels.shape[1]
        first = _first_target(labels, grade_at)
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            use_cache=False,
            logits_to_keep=length - first + 1,
        )
        logits = outputs.logits[:, :-1].float()  # (B, K, V): position k predicts token first + k
        text = functional.cross_entropy(
            logits.flatten(0, 1), labels[:, first:].flatten(), ignore_index=IGNORED, reduction="sum"
        )
        # a count for the whole update is one over all processes, whose gradients are then averaged
        count = (labels != IGNORED).sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        processes = 1 if num_items_in_batch is None else self.accelerator.num_processes
        loss = processes * text / count.clamp(min=1)
        graded = grade_at >= 0
        if bool(graded.any()):
            rows = graded.nonzero().flatten()
            at_grade = logits[rows, grade_at[rows] - first].log_softmax(-1)[:, self._digits]  # (rows, 10)
            cross = -(grade[rows] * at_grade).sum(-1)
            loss = loss + self._grade_weight * cross.sum() / self._rows_of_update(num_items_in_batch, len(labels))
            self._note(at_grade.detach(), grade[rows], cross.detach())
        self._metrics["train" if self.model.training else "eval"]["text_loss"].append(
            (text.detach() / (labels != IGNORED).sum().clamp(min=1)).item()
        )
        return (loss, outputs) if return_outputs else loss

    def _rows_of_update(self, num_items_in_batch: Any, rows: int) -> int:
        """With a token count for the whole update the trainer does not average over batches; then we do."""
        return rows if num_items_in_batch is None else rows * self.args.gradient_accumulation_steps

    def _note(self, at_grade: torch.Tensor, grade: torch.Tensor, cross: torch.Tensor) -> None:
        digits = torch.arange(10.0, device=grade.device)
        expected = (at_grade.softmax(-1) * digits).sum(-1) / 9
        target = (grade * digits).sum(-1) / 9
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["grade_loss"].append(cross.mean().item())
        metrics["score_error"].append((expected - target).square().mean().item())


def _first_target(labels: torch.Tensor, grade_at: torch.Tensor) -> int:
    """The first position of the batch that carries loss, at least 1."""
    places = (labels != IGNORED).nonzero()[:, 1]
    graded = grade_at[grade_at >= 0]
    firsts = [int(found.min()) for found in (places, graded) if found.numel()]
    return max(1, min(firsts, default=labels.shape[1] - 1))
