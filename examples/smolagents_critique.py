"""A shop agent of smolagents guesses a price; the judge notices, and the agent looks it up.

Runs offline with a scripted model. `--model gpt-5-mini` takes a real one, which needs OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse

from reagent_adapters.smolagents import CritiqueAgent
from smolagents import CodeAgent, LogLevel, Model, OpenAIServerModel, tool
from smolagents.models import ChatMessage, MessageRole

from reagent_sdk import Policy


@tool
def price(item: str) -> float:
    """The price of one item in euros.

    Args:
        item: its name.
    """
    return 0.30


class ScriptedModel(Model):
    script = iter(["final_answer(2)", 'print(price(item="egg"))', 'final_answer(round(12 * price(item="egg"), 2))'])

    def generate(self, messages, **kwargs):
        return ChatMessage(MessageRole.ASSISTANT, f"Thought: go on.\n<code>\n{next(self.script)}\n</code>")


def judge(task, trajectory):
    looked_up = "price(" in str(trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of OpenAI instead of the scripted one")
name = parser.parse_args().model
model = OpenAIServerModel(name) if name else ScriptedModel()
shop = CodeAgent(tools=[price], model=model, verbosity_level=LogLevel.OFF)
with CritiqueAgent(shop, judge, policy=Policy(rounds=1)) as agent:
    answer = agent.run("What do 12 eggs cost?")
    run = agent.last_run
print(run.why)
print("scores:", [attempt.score for attempt in run.attempts])
print("answer:", answer)
