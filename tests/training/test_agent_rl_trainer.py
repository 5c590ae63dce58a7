from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from reagent_training.agent_rl.trainer import trimmed


def _batch(prompts: list[int], completions: list[int], spare: int) -> dict[str, torch.Tensor]:
    """Rows of these lengths, padded by `spare` columns more than the longest needs."""
    width, length = max(prompts) + spare, max(1, *completions) + spare
    prompt_mask = torch.tensor([[0] * (width - n) + [1] * n for n in prompts])
    mask = torch.tensor([[1] * n + [0] * (length - n) for n in completions])
    numbers = torch.arange(1, len(prompts) * length + 1).reshape(len(prompts), length)
    return {
        "prompt_ids": prompt_mask * 7,
        "prompt_mask": prompt_mask,
        "completion_ids": mask * numbers,
        "completion_mask": mask,
        "tool_mask": mask,
        "old_per_token_logps": mask * -0.5 * numbers,
        "importance_sampling_ratio": torch.ones(len(prompts), 1),
        "advantages": torch.ones(len(prompts)),
    }


@given(
    rows=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=5),
    spare=st.integers(0, 4),
)
def test_only_columns_that_are_padding_everywhere_go(rows: list[tuple[int, int]], spare: int) -> None:
    prompts, completions = [p for p, _ in rows], [c for _, c in rows]
    given = _batch(prompts, completions, spare)
    cut = trimmed(given)
    assert cut["prompt_ids"].shape[1] == max(prompts)
    assert cut["completion_ids"].shape[1] == max(1, *completions)
    for name in ("prompt_ids", "completion_ids", "old_per_token_logps", "tool_mask"):
        assert cut[name].sum() == given[name].sum(), name
        assert cut[name].shape[1] == cut["prompt_mask" if name == "prompt_ids" else "completion_mask"].shape[1]
    assert cut["importance_sampling_ratio"].shape == (len(rows), 1)
    assert cut["advantages"] is given["advantages"]
