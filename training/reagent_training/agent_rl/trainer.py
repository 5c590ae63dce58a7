"""TRL's GRPO trainer without needless padding. Imports TRL: import this module on first use."""

from __future__ import annotations

from typing import Any

import torch
from trl import GRPOTrainer

_PROMPT = ("prompt_ids", "prompt_mask")
_COMPLETION = (
    *("completion_ids", "completion_mask", "tool_mask", "old_per_token_logps", "ref_per_token_logps"),
    *("sampling_per_token_logps", "importance_sampling_ratio"),
)


class AgentTrainer(GRPOTrainer):  # type: ignore[misc]  # trl is not typed
    """Leaves out, micro-batch by micro-batch, the columns that are padding in all of its rows.

    TRL pads all rows that are sampled together to the longest prompt and the longest completion among them. A first
    attempt has a short prompt and a long completion, a revision a long prompt: padded together, they would cost nearly
    twice their tokens. Small micro-batches then cost the least.
    """

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        return super()._compute_loss(model, trimmed(inputs))


def trimmed(inputs: dict[str, Any]) -> dict[str, Any]:
    """A micro-batch without columns of padding; at least one column of each part stays.

    Args:
        inputs: as TRL passes them: prompts (B, P) padded on the left, completions (B, C) on the right, their masks, and
            what else there is for each completion token.
    """
    prompt, completion = inputs["prompt_mask"], inputs["completion_mask"]
    before = prompt.shape[1] - _width(prompt.flip(1))
    after = _width(completion)
    cut = dict(inputs)
    for name in _PROMPT:
        cut[name] = inputs[name][:, before:]
    for name in _COMPLETION:
        value = inputs.get(name)
        if isinstance(value, torch.Tensor) and value.dim() == 2 and value.shape[1] == completion.shape[1]:
            cut[name] = value[:, :after]
    return cut


def _width(mask: torch.Tensor) -> int:
    """Columns up to the last one that any row uses."""
    used = mask.any(dim=0).nonzero()
    return int(used.max()) + 1 if len(used) else 1
