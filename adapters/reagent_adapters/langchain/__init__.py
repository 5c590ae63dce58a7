"""LangChain and LangGraph: critique inside an agent's graph, or around any runnable."""

from __future__ import annotations

from reagent_adapters.versions import require

for _package in ("langchain-core", "langgraph", "langchain"):
    require(_package, "langchain")

from reagent_adapters.langchain.middleware import CritiqueMiddleware  # noqa: E402 - after the check of versions
from reagent_adapters.langchain.runnable import CritiqueRunnable  # noqa: E402

__all__ = ["CritiqueMiddleware", "CritiqueRunnable"]
