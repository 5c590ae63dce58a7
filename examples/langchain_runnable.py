"""A LangChain chain answers too briefly; the judge around it notices, and only the better answer is streamed.

Runs offline with a scripted model. `--model openai:gpt-5-mini` takes a real one, with langchain-openai and a key.
"""

from __future__ import annotations

import argparse

from langchain.chat_models import init_chat_model
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from reagent_adapters.langchain import CritiqueRunnable

from reagent_sdk import Policy
from reagent_sdk.events import RunFinished


def judge(task, trajectory):
    reasoned = "=" in trajectory.answer
    return (0.9, "") if reasoned else (0.4, "Show the calculation, so that it can be checked.")


runs = []


def keep(event):
    if isinstance(event, RunFinished):
        runs.append(event.run)


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of a provider instead of the scripted one")
name = parser.parse_args().model
script = ["It is 3.60.", "12 eggs at 0.30 euros each: 12 * 0.30 = 3.60 euros."]
model = init_chat_model(name) if name else GenericFakeChatModel(messages=iter(script))
chain = ChatPromptTemplate.from_template("Answer the customer: {question}") | model | StrOutputParser()

with CritiqueRunnable(chain, judge, policy=Policy(rounds=1), observe=keep) as solver:
    print("answer:", end=" ")
    for chunk in solver.stream({"question": "What do 12 eggs cost at 0.30 euros each?"}):
        print(chunk, end="")
print("\n" + runs[0].why)
print("scores:", [attempt.score for attempt in runs[0].attempts])
