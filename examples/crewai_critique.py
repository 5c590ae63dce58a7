"""A CrewAI agent guesses a price; the judge notices, and the agent looks it up. Runs offline with a scripted model."""

from __future__ import annotations

import os

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")  # read when crewai is imported
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

from crewai import Agent, BaseLLM
from crewai.tools import tool

from reagent_sdk import Trajectory, with_critique


@tool("price")
def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


class Scripted(BaseLLM):
    script: list[str]

    def call(self, messages, tools=None, *args, **kwargs):
        return self.script.pop(0)


LOOKUP = 'Thought: I must look it up.\nAction: price\nAction Input: {"item": "egg"}'
ANSWERS = ["Thought: easy.\nFinal Answer: 2 euros?", LOOKUP, "Thought: 12 * 0.30.\nFinal Answer: 3.60 euros"]
shop = Agent(
    role="shop assistant",
    goal="answer questions about prices",
    backstory="you work in a shop",
    llm=Scripted(model="scripted", script=ANSWERS),
    tools=[price],
)


def ask(question: str) -> Trajectory:
    """What `with_critique` wraps: the question in, the whole work out. A revision comes as a question, too."""
    result = shop.kickoff(question)
    work = [message for message in result.messages if message["role"] == "assistant"]  # actions and observations
    return Trajectory.from_openai([*work, {"role": "assistant", "content": result.raw}])


def judge(task, trajectory):
    looked_up = any("0.30" in message.text for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


with with_critique(ask, judge=judge) as agent:
    run = agent.run("What do 12 eggs cost?")
print(run.why)
print("scores:", [attempt.score for attempt in run.attempts])
print("answer:", run.answer)
