"""Run logs made by the real loop, from agents and judges that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_sdk import CritiqueLoop, Policy, Run, RunLog, Task, ToolCall
from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.messages import Message, assistant
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge
from reagent_sdk.tools import tool
from reagent_sdk.tools.agent import ToolAgent
from reagent_sdk.usage import Usage

QUESTION = "What do 3 crates weigh?"


@tool
def weigh(item: str) -> str:
    """Weighs an item in kilograms."""
    return f"{item}: 7 kg"


class ScriptedModel:
    """A chat model that replies from a list."""

    name = "scripted"

    def __init__(self, *replies: Message | str) -> None:
        self._replies = list(replies)

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        async with MeteredCall() as call:
            call.used(Usage(prompt_tokens=10, completion_tokens=2, priced_usd=0.25))
            reply = self._replies.pop(0)
            message = assistant(reply) if isinstance(reply, str) else reply
            return Completion(message=message, usage=call.usage)

    async def aclose(self) -> None: ...


def calling(*items: str, ids: Sequence[str] = ("c1", "c2"), **more: Any) -> Message:
    """A reply that weighs these items."""
    calls = [ToolCall.make("weigh", {"item": item}, id=id) for item, id in zip(items, ids, strict=False)]
    return Message.model_validate({"role": "assistant", "content": None, "tool_calls": calls, **more})


def weighing(log: Path, **task: Any) -> Run:
    """Two attempts with tools: two calls at once and a wrong sum; then one more call, and the right one."""
    model = ScriptedModel(
        calling("crate", "box", reasoning_content="I weigh both."), "14 kg", calling("crate", ids=["c1"]), "21 kg"
    )
    loop = CritiqueLoop(
        Task(question=QUESTION, **task),
        ToolAgent(model, [weigh]),
        ScriptedJudge([(0.2, "You forgot a crate."), (0.9, "Good.")], gate=0.8),
        log=RunLog(log),
    )
    return asyncio.run(loop.run())


def scripted(log: Path, answers: Sequence[Any], outcomes: Sequence[Any], question: str = "q", **more: Any) -> Run:
    """A run of scripted answers and verdicts."""
    policy = more.pop("policy", Policy(rounds=len(answers) - 1))
    judge = ScriptedJudge(outcomes, gate=more.pop("gate", None))
    task = Task(question=question, **more)
    return asyncio.run(CritiqueLoop(task, ScriptedAgent(answers), judge, policy=policy, log=RunLog(log)).run())
