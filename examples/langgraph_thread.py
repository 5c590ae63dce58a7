"""A graph of LangGraph with memory, wrapped: its thread keeps the chosen answers and nothing of the rest.

Runs offline with a scripted model. `--model openai:gpt-5-mini` takes a real one, with langchain-openai and a key.
"""

from __future__ import annotations

import argparse

from langchain.chat_models import init_chat_model
from langchain_core.language_models import GenericFakeChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from reagent_adapters.langchain import CritiqueRunnable

from reagent_sdk import Policy
from reagent_sdk.events import RunFinished


def judge(task, trajectory):
    polite = "please" in trajectory.answer
    return (0.9, "") if polite else (0.3, "The customer is to be asked politely.")


def tell(event):
    if isinstance(event, RunFinished):
        print(event.run.why, [attempt.score for attempt in event.run.attempts])


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of a provider instead of the scripted one")
name = parser.parse_args().model
script = ["Which eggs?", "Which eggs, please?", "How many?", "How many, please?"]
model = init_chat_model(name) if name else GenericFakeChatModel(messages=iter(script))

graph = StateGraph(MessagesState)
graph.add_node("answer", lambda state: {"messages": [model.invoke(state["messages"])]})
graph.add_edge(START, "answer")
shop = graph.compile(checkpointer=InMemorySaver())

thread = {"configurable": {"thread_id": "customer-1"}}
with CritiqueRunnable(shop, judge, policy=Policy(rounds=1), observe=tell) as solver:
    for text in ("I want eggs.", "The brown ones."):
        print("answer:", solver.invoke({"messages": [("user", text)]}, thread)["messages"][-1].text)
for message in shop.get_state(thread).values["messages"]:
    print(f"{message.type}: {message.text}")
