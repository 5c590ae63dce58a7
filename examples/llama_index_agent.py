"""A shop agent of LlamaIndex guesses a price; the judge notices, and the agent looks it up.

Runs offline with a scripted model. `--model gpt-5-mini` takes a real one: `pip install llama-index-llms-openai`, and
set OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import asyncio

from llama_index.core.agent.workflow import AgentStream, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from reagent_adapters.llama_index import AttemptJudged, CritiqueAgent

from reagent_sdk import Policy


def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


def model_of(name: str | None):
    if name:
        from llama_index.llms.openai import OpenAI

        return OpenAI(model=name)
    call = ToolCallBlock(tool_call_id="c1", tool_name="price", tool_kwargs={"item": "egg"})
    script = iter(
        [
            ChatMessage(role="assistant", content="2 euros?"),
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage(role="assistant", content="3.60 euros"),
        ]
    )
    return MockFunctionCallingLLM(response_generator=lambda messages, **kwargs: next(script))


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


async def main(name: str | None) -> None:
    agent = CritiqueAgent(FunctionAgent(tools=[price], llm=model_of(name)), judge, policy=Policy(rounds=1))
    memory = ChatMemoryBuffer.from_defaults(token_limit=4000)
    handler = agent.run(user_msg="What do 12 eggs cost?", memory=memory)
    async for event in handler.stream_events():
        if isinstance(event, AttemptJudged):
            print(f"attempt {event.attempt + 1}: {event.score}")
        elif isinstance(event, AgentStream):
            print(event.delta, end="")
    print(f"\nanswer: {await handler}")
    print(handler.run.why)
    print("memory:", [message.content or "(tool call)" for message in memory.get_all()])


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of OpenAI instead of the scripted one")
asyncio.run(main(parser.parse_args().model))
