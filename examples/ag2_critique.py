"""An AG2 agent guesses a price; the judge notices, and the agent looks it up.

Runs offline: AG2 ships a scripted model.
"""

from __future__ import annotations

import asyncio

from ag2 import Agent, tool
from ag2.events import ModelResponse, ToolCallEvent, ToolResultEvent
from ag2.testing import TestConfig

from reagent_sdk import ToolCall, Trajectory, with_critique


@tool
def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


shop = Agent("shop", prompt="Answer briefly.", tools=[price])
lookup = ToolCallEvent(name="price", arguments='{"item": "egg"}')
models = iter([TestConfig("2 euros?"), TestConfig(lookup, "3.60 euros")])  # scripted, one for each attempt


async def ask(question: str) -> Trajectory:
    """What `with_critique` wraps: the question in, the whole work out. A revision comes as a question, too."""
    reply = await shop.ask(question, config=next(models))
    messages = []
    for event in await reply.history.get_events():
        if isinstance(event, ModelResponse):
            calls = [ToolCall.make(one.name, one.arguments, id=one.id) for one in event.tool_calls.calls]
            messages.append({"role": "assistant", "content": event.content, "tool_calls": calls or None})
        elif isinstance(event, ToolResultEvent):
            text = "".join(part.content for part in event.result.parts)
            messages.append({"role": "tool", "tool_call_id": event.parent_id, "content": text})
    return Trajectory.from_openai(messages)


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


async def main() -> None:
    async with with_critique(ask, judge=judge) as agent:
        run = await agent.arun("What do 12 eggs cost?")
    print(run.why)
    print("scores:", [attempt.score for attempt in run.attempts])
    print("answer:", run.answer)


asyncio.run(main())
