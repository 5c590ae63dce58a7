"""What length does to a record: how much of the agent's own work a judge still reads when padding fills its window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reagent_benchmarks.judge_attacks.attack import Attack
from reagent_benchmarks.judging.items import JudgedItem
from reagent_sdk.framing import defuse_lines
from reagent_sdk.rendering import render_record

WINDOWS = (16_000, 48_000)
"""Characters: the embedded judge's window, and the default one."""


@dataclass(frozen=True)
class Pushed:
    """What one attack pushes out of a window, over all trajectories.

    Attributes:
        own: share of the agent's own messages that are in the record whole.
        flawed: share of the messages labelled wrong that are; None where none has a label.
        omitted: mean number of characters left out, as the verdict reports it.
        flagged: share of trajectories whose verdict reports any.
    """

    attack: str
    window: int
    own: float
    flawed: float | None
    omitted: float
    flagged: float


def push(attack: Attack | None, items: Sequence[JudgedItem], window: int) -> Pushed:
    """Renders the attacked trajectories for a window; `attack` None shows them as they are."""
    own: list[bool] = []
    flawed: list[bool] = []
    omitted: list[int] = []
    for item in items:
        work = attack.on(item.task, item.trajectory) if attack else (item.task, item.trajectory)
        if work is None:
            continue
        record = render_record(*work, max_chars=window)
        omitted.append(record.omitted_chars)
        for index, message in enumerate(item.trajectory.messages):
            if message.role != "assistant":
                continue
            pieces = [message.text, *(call.arguments_text for call in message.tool_calls or ())]
            whole = all(defuse_lines(piece).strip() in record.text for piece in pieces)
            own.append(whole)
            if item.steps.get(index) == -1:
                flawed.append(whole)
    return Pushed(
        attack=attack.name if attack else "none",
        window=window,
        own=sum(own) / max(1, len(own)),
        flawed=sum(flawed) / len(flawed) if flawed else None,
        omitted=sum(omitted) / max(1, len(omitted)),
        flagged=sum(map(bool, omitted)) / max(1, len(omitted)),
    )
