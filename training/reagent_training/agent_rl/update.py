"""The rows of an update as TRL takes them, and what the log is told of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reagent_training.agent_rl.objective import is_degenerate
from reagent_training.agent_rl.stages import FIRST, REVISED, Row

REWARD = "reagent_reward"
Gather = Callable[[list[Any]], list[Any]]


def as_batch(rows: Sequence[Row], *, end: int, group: int, drop: bool, gather: Gather) -> dict[str, Any]:
    """Token ids, masks and rewards, one entry for each row.

    Args:
        rows: of this process.
        end: the end token, which stands in for a revision that was not made; it carries no loss.
        group: rows whose rewards are compared.
        drop: whether groups of equal rewards lose their loss mask.
        gather: joins a list over all processes in their order; a group may lie on two of them.

    Returns:
        `prompt_ids`, `completion_ids`, `env_mask` (1 where the policy sampled the token), `logprobs` (None where the
        trainer samples itself), and the rewards under REWARD, None for rows that are left out.
    """
    prompts, completions, masks, logprobs = [], [], [], []
    for row, kept in zip(rows, _kept(rows, group, drop, gather), strict=True):
        tokens = row.rollout.tokens if row.rollout else None
        if tokens is None:
            prompts.append([end])
            completions.append([end])
            masks.append([0])
            logprobs.append([0.0])
            continue
        learnt = kept and row.reward is not None
        prompts.append(tokens.prompt)
        completions.append(tokens.ids)
        masks.append(tokens.own if learnt else [0] * len(tokens.ids))
        logprobs.append(tokens.logprobs or [0.0] * len(tokens.ids))
    elsewhere = any(row.rollout and row.rollout.tokens.logprobs is not None for row in rows)
    return {
        "prompt_ids": prompts,
        "completion_ids": completions,
        "env_mask": masks,
        "logprobs": logprobs if elsewhere else None,
        REWARD: [row.reward for row in rows],
    }


def _kept(rows: Sequence[Row], group: int, drop: bool, gather: Gather) -> list[bool]:
    """Whether a row's group moves anything."""
    if not drop:
        return [True] * len(rows)
    from reagent_training.train.running import rank

    rewards = gather([row.reward for row in rows])
    groups = [rewards[start : start + group] for start in range(0, len(rewards), group)]
    dead = [is_degenerate(one) for one in groups]
    first = rank() * len(rows)
    return [not dead[(first + place) // group] for place in range(len(rows))]


def figures(rows: Sequence[Row]) -> dict[str, list[float]]:
    """What the log is told of an update: for each figure, its values for the rows that it speaks of.

    They are values and not means, so that the mean is right where processes have different numbers of them.
    """
    made = [row for row in rows if row.rollout is not None]
    firsts = [row for row in made if row.stage == FIRST]
    found = {"first/right": [_right(row) for row in firsts], "first/reward": _rewards(firsts)}
    found["tool_calls"] = [float(row.rollout.tool_calls) for row in made if row.rollout]
    found["stopped_tools"] = [float(row.rollout.stopped_tools) for row in made if row.rollout]
    found["tokens"] = [float(sum(sum(row.rollout.tokens.own) for row in made if row.rollout))]
    found["turns"] = [float(row.rollout.tokens.turns) for row in made if row.rollout]
    found["cut_off"] = [float(row.rollout.truncated) for row in made if row.rollout]
    judged = [row for row in made if row.verdict is not None]
    found["judge/failed"] = [float(row.score is None) for row in judged]
    for name, right in (("judge/score_right", True), ("judge/score_wrong", False)):
        found[name] = [row.score for row in judged if row.score is not None and bool(_right(row)) is right]
    pairs = [pair for pair in zip(rows[::2], rows[1::2], strict=False) if _revised(pair)]
    before, after = [_right(first) for first, _ in pairs], [_right(second) for _, second in pairs]
    found["revised/right"] = after
    found["revised/reward"] = _rewards([second for _, second in pairs])
    found["revised/gain"] = [b - a for a, b in zip(before, after, strict=True)]
    found["revised/fixed"] = [float(b > a) for a, b in zip(before, after, strict=True)]
    found["revised/broken"] = [float(b < a) for a, b in zip(before, after, strict=True)]
    return found


def _revised(pair: tuple[Row, Row]) -> bool:
    first, second = pair
    return second.stage == REVISED and first.rollout is not None and second.rollout is not None


def _right(row: Row) -> float:
    return float(row.rollout is not None and row.rollout.right is True)


def _rewards(rows: Sequence[Row]) -> list[float]:
    return [row.reward for row in rows if row.reward is not None]


def logged(found: Mapping[str, Sequence[float]], log: Callable[[str, float], None]) -> None:
    """Tells TRL's log all values, which it averages; nothing is said of what an update had none of."""
    for name, values in found.items():
        for value in values:
            log(f"agent/{name}", value)
