"""Rows for TRL's trainers: conversations (SFT), preferences (DPO) and prompts (GRPO)."""

from __future__ import annotations

from typing import Any

from reagent_sdk.exports.chat import conversation, prompt_of
from reagent_sdk.exports.choosing import LeftOut, chosen, preference
from reagent_sdk.run import Attempt, Run

REFERENCE = "reference"
"""Column of the right answers. A task's metadata may call them by any of `_REFERENCES`."""
_REFERENCES = (REFERENCE, "references", "gold")


def sft_row(run: Run) -> dict[str, Any]:
    """The chosen attempt as a conversation: `messages`, and `metadata` that says where it comes from.

    Raises:
        LeftOut: there is none to learn from, or it is not text.
    """
    best = chosen(run)
    prompt, completion = conversation(run, best)
    return {"messages": prompt + completion, "metadata": {**_about(run), "attempt": best.index, **_scored(best)}}


def dpo_row(run: Run, margin: float) -> dict[str, Any]:
    """A better and a worse attempt at one task: `prompt`, `chosen`, `rejected`, and `metadata` with both scores.

    Args:
        run: any run.
        margin: the least difference of the two scores, in (0, 1].

    Raises:
        LeftOut: no two attempts are that far apart on one judge's scale.
    """
    better, worse = preference(run, margin)
    prompt, good = conversation(run, better)
    _, bad = conversation(run, worse)
    if good == bad:
        raise LeftOut("both attempts say the same")
    about = {
        **_about(run),
        "chosen_attempt": better.index,
        "rejected_attempt": worse.index,
        "judge": better.verdict.judge if better.verdict else "",
        "score_chosen": better.score,
        "score_rejected": worse.score,
    }
    return {"prompt": prompt, "chosen": good, "rejected": bad, "metadata": about}


def grpo_row(run: Run) -> dict[str, Any]:
    """The question alone: `prompt`, `reference` (the right answers where the task knows them, else none), `metadata`.

    Runs that failed have one too: their questions are the hard ones.

    Raises:
        LeftOut: the prompt is not text, or not the user's.
    """
    scored = _scored(run.best) if run.best else {"score": None, "judge": ""}
    return {"prompt": prompt_of(run), REFERENCE: references(run), "metadata": {**_about(run), **scored}}


def references(run: Run) -> list[str]:
    """The right answers that the task's metadata holds, as texts."""
    about = run.task.metadata
    found: Any = next((about[key] for key in _REFERENCES if about.get(key) is not None), [])
    listed = found if isinstance(found, list | tuple) else [found]
    return [str(one) for one in listed if isinstance(one, str | int | float) and not isinstance(one, bool)]


def _about(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "task": run.task.id,
        "started_at": run.started_at.isoformat(),
        "status": run.status.value,
        "stop": run.stop.value,
    }


def _scored(attempt: Attempt) -> dict[str, Any]:
    """Score and judge; a verdict that failed leaves the score unknown."""
    return {"score": attempt.score, "judge": attempt.verdict.judge if attempt.verdict else ""}
