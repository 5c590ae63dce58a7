"""An agent of Microsoft's Agent Framework guesses a price; the judge notices, and the agent looks it up.

Runs offline with a scripted chat client; any other client of the framework takes its place.
"""

from __future__ import annotations

import asyncio

from agent_framework import Agent, BaseChatClient, ChatResponse, Content, FunctionInvocationLayer, Message, tool

from reagent_sdk import Feedback, ToolCall, Trajectory, with_critique


@tool
def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


class Scripted(FunctionInvocationLayer, BaseChatClient):
    def __init__(self, *said: Content) -> None:
        super().__init__()
        self.said = iter(said)

    def _inner_get_response(self, *, messages, stream, options, **kwargs):
        async def reply() -> ChatResponse:
            return ChatResponse(messages=[Message(role="assistant", contents=[next(self.said)])])

        return reply()


lookup = Content.from_function_call(call_id="c1", name="price", arguments='{"item": "egg"}')
client = Scripted(Content.from_text("2 euros?"), lookup, Content.from_text("3.60 euros"))
shop = Agent(client, "Answer briefly.", tools=[price])


def in_openai_format(message: Message) -> list[dict]:
    """A message of the framework; one with several tool results becomes several."""
    results = [one for one in message.contents if one.type == "function_result"]
    if results:
        return [{"role": "tool", "tool_call_id": one.call_id, "content": str(one.result)} for one in results]
    asked = [one for one in message.contents if one.type == "function_call"]
    calls = [ToolCall.make(one.name, one.arguments, id=one.call_id) for one in asked]
    return [{"role": str(message.role), "content": message.text or None, "tool_calls": calls or None}]


async def ask(question: str, session, feedback: Feedback | None = None) -> Trajectory:
    """What `with_critique` wraps. The session keeps the conversation, so a revision needs to say no more than this."""
    reply = await shop.run(feedback.critique if feedback else question, session=session)
    return Trajectory.from_openai([one for message in reply.messages for one in in_openai_format(message)])


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


async def main() -> None:
    async with with_critique(ask, judge=judge) as agent:
        run = await agent.arun("What do 12 eggs cost?", session=shop.create_session())
    print(run.why)
    print("scores:", [attempt.score for attempt in run.attempts])
    print("answer:", run.answer)


asyncio.run(main())
