"""Critique for LlamaIndex under its own namespace; everything comes from `reagent_adapters.llama_index`."""

from reagent_adapters.llama_index import (
    AttemptJudged,
    AttemptStarted,
    CritiqueAgent,
    CritiqueFinished,
    CritiqueHandler,
    CritiqueQueryEngine,
    CritiqueWorkflow,
    DraftEvent,
    run_of,
)

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
