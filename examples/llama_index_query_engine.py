"""A query engine of LlamaIndex overlooks a source; the judge, who reads the retrieved nodes, tells it to read again.

Runs offline with a scripted model and mock embeddings. `--model gpt-5-mini` takes a real one: `pip install
llama-index-llms-openai`, and set OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse

from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.llms import MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.schema import TextNode
from reagent_adapters.llama_index import CritiqueQueryEngine, run_of

from reagent_sdk import Policy

NODES = [
    TextNode(text="The bridge was planned in 1931."),
    TextNode(text="After three years of work the bridge was opened in 1937."),
]


class ScriptedLLM(MockLLM):
    """Answers right only when it is told to read the sources."""

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs) -> CompletionResponse:
        return CompletionResponse(text="In 1937." if "second source" in prompt else "In 1931.")


def model_of(name: str | None):
    if not name:
        return ScriptedLLM()
    from llama_index.llms.openai import OpenAI

    return OpenAI(model=name)


def judge(task, trajectory):
    sources = next(message.text for message in trajectory.messages if message.role == "tool")
    if "opened in 1937" in sources and "1937" not in trajectory.answer:
        return 0.1, "That is the year of the plan. Read the second source as well."
    return 0.9, ""


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="a model of OpenAI instead of the scripted one")
index = VectorStoreIndex(nodes=NODES, embed_model=MockEmbedding(embed_dim=8))
inner = index.as_query_engine(llm=model_of(parser.parse_args().model), similarity_top_k=2)
with CritiqueQueryEngine(inner, judge, policy=Policy(rounds=1)) as engine:
    response = engine.query("When was the bridge opened?")
run = run_of(response)
print(run.why)
print("scores:", [attempt.score for attempt in run.attempts])
print("answer:", response)
print("sources:", len(response.source_nodes))
