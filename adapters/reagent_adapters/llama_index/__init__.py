"""Critique for LlamaIndex: agents, workflows and query engines that return their best attempt.

agent = CritiqueAgent(FunctionAgent(tools=[search], llm=llm), judge="local")
handler = agent.run(user_msg="Who won the 1998 final?", memory=memory)
print(await handler, handler.run.why)
"""

from __future__ import annotations

from reagent_adapters.versions import require

require("llama-index-core", "llamaindex")

from reagent_adapters.llama_index.agent import CritiqueAgent  # noqa: E402
from reagent_adapters.llama_index.events import AttemptJudged, AttemptStarted, CritiqueFinished, DraftEvent  # noqa: E402
from reagent_adapters.llama_index.handler import CritiqueHandler  # noqa: E402
from reagent_adapters.llama_index.query_engine import CritiqueQueryEngine  # noqa: E402
from reagent_adapters.llama_index.workflow import CritiqueWorkflow  # noqa: E402
from reagent_adapters.results import run_of  # noqa: E402

__all__ = [
    "AttemptJudged",
    "AttemptStarted",
    "CritiqueAgent",
    "CritiqueFinished",
    "CritiqueHandler",
    "CritiqueQueryEngine",
    "CritiqueWorkflow",
    "DraftEvent",
    "run_of",
]
