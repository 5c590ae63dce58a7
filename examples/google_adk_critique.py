"""A Google ADK agent guesses a price; the judge notices, and the agent looks it up.

Runs offline.
"""

from __future__ import annotations

import asyncio

from google.adk.agents import Agent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types

from reagent_sdk import Feedback, ToolCall, Trajectory, with_critique


def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


class Scripted(BaseLlm):
    script: list[types.Part]

    async def generate_content_async(self, llm_request, stream=False):
        yield LlmResponse(content=types.Content(role="model", parts=[self.script.pop(0)]))


lookup = types.Part.from_function_call(name="price", args={"item": "egg"})
answers = [types.Part(text="2 euros?"), lookup, types.Part(text="3.60 euros")]
shop = Agent(name="shop", model=Scripted(model="scripted", script=answers), tools=[price])
runner = InMemoryRunner(shop)


def in_openai_format(part: types.Part) -> dict:
    if part.function_call:
        call = ToolCall.make(part.function_call.name, part.function_call.args or {}, id=part.function_call.id or "")
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if part.function_response:
        told = part.function_response
        return {"role": "tool", "tool_call_id": told.id or "", "content": str(told.response)}
    return {"role": "assistant", "content": part.text or ""}


async def ask(question: str, session: str, feedback: Feedback | None = None) -> Trajectory:
    """What `with_critique` wraps. The session keeps the conversation, so a revision needs to say no more than this."""
    said = types.Content(role="user", parts=[types.Part(text=feedback.critique if feedback else question)])
    work = []
    async for event in runner.run_async(user_id="me", session_id=session, new_message=said):
        work += [in_openai_format(part) for part in (event.content.parts or [] if event.content else [])]
    return Trajectory.from_openai(work)


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


async def main() -> None:
    session = await runner.session_service.create_session(app_name=runner.app_name, user_id="me")
    async with with_critique(ask, judge=judge) as agent:
        run = await agent.arun("What do 12 eggs cost?", session=session.id)
    await runner.close()
    print(run.why)
    print("scores:", [attempt.score for attempt in run.attempts])
    print("answer:", run.answer)


asyncio.run(main())
