"""A LangChain agent guesses a price; the judge inside its graph notices, and the agent looks it up.

Runs offline with a scripted model. `--model openai:gpt-5-mini` takes a real one, with langchain-openai and a key.
"""

from __future__ import annotations

import argparse

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from reagent_adapters.langchain import CritiqueMiddleware

from reagent_sdk import Policy


def price(item: str) -> str:
    """The price of an item."""
    return f"One {item} costs 0.30 euros."


class ScriptedModel(GenericFakeChatModel):
    def bind_tools(self, tools, **kwargs):
        return self


def judge(task, trajectory):
    looked_up = any(message.role == "tool" for message in trajectory.messages)
    return (0.9, "") if looked_up else (0.2, "The price is a guess: look it up before you multiply.")


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of a provider instead of the scripted one")
name = parser.parse_args().model
call = {"name": "price", "args": {"item": "egg"}, "id": "c1"}
script = [AIMessage("2 euros?"), AIMessage("", tool_calls=[call]), AIMessage("3.60 euros")]
critique = CritiqueMiddleware(judge, policy=Policy(rounds=1))
agent = create_agent(
    name or ScriptedModel(messages=iter(script)), [price], middleware=[critique], checkpointer=InMemorySaver()
)
thread = {"configurable": {"thread_id": "customer-1"}}
answer = agent.invoke({"messages": [("user", "What do 12 eggs cost?")]}, thread)
run = critique.run_of(agent.get_state(thread).values)
print(run.why)
print("scores:", [attempt.score for attempt in run.attempts])
print("answer:", answer["messages"][-1].text)
