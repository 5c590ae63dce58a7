"""A shop agent of the OpenAI Agents SDK guesses a price; the judge notices, and the agent looks it up.

Runs offline with a scripted model. `--model gpt-5-mini` takes a real one, which needs OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse

from agents import Agent, Model, ModelResponse, function_tool, set_tracing_disabled
from agents.usage import Usage
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from reagent_adapters.openai_agents import CritiqueRunner, run_of

from reagent_sdk import Policy


@function_tool
def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


class ScriptedModel(Model):
    def __init__(self) -> None:
        said = [
            ResponseOutputText(text=text, type="output_text", annotations=[]) for text in ("2 euros?", "3.60 euros")
        ]
        guess, answer = (
            ResponseOutputMessage(id="m", content=[part], role="assistant", status="completed", type="message")
            for part in said
        )
        call = ResponseFunctionToolCall(name="price", call_id="c1", arguments='{"item": "egg"}', type="function_call")
        self.script = iter([guess, call, answer])

    async def get_response(self, *args, **kwargs):
        return ModelResponse(output=[next(self.script)], usage=Usage(requests=1), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of OpenAI instead of the scripted one")
name = parser.parse_args().model
set_tracing_disabled(True)
agent = Agent(name="shop", instructions="Answer briefly.", tools=[price], model=name or ScriptedModel())
with CritiqueRunner(judge, policy=Policy(rounds=1)) as runner:
    result = runner.run_sync(agent, "What do 12 eggs cost?")
run = run_of(result)
print(run.why)
print("scores:", [attempt.score for attempt in run.attempts])
print("answer:", result.final_output)
