"""A shop agent of pydantic-ai guesses a price; the judge notices, and the agent looks it up.

Runs offline with a scripted model. `--model openai:gpt-5-mini` takes a real one, which needs OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.models.function import FunctionModel
from reagent_adapters.pydantic_ai import CritiqueAgent, run_of

from reagent_sdk import Policy


class Quote(BaseModel):
    euros: float


def scripted(messages, info):
    said = str(messages)
    if "look it up" not in said:
        return ModelResponse([ToolCallPart("final_result", {"euros": 2})])
    if "0.30" not in said:
        return ModelResponse([ToolCallPart("price", {"item": "egg"})])
    return ModelResponse([ToolCallPart("final_result", {"euros": 3.6})])


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model such as openai:gpt-5-mini instead of the scripted one")
name = parser.parse_args().model
shop = Agent(name or FunctionModel(scripted), output_type=Quote)


@shop.tool_plain
def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


with CritiqueAgent(shop, judge, policy=Policy(rounds=1)) as agent:
    result = agent.run_sync("What do 12 eggs cost?")
run = run_of(result)
print(run.why)
print("scores:", [attempt.score for attempt in run.attempts])
print("answer:", result.output)
