# ruff: noqa: D100, D103, S101

from llama_index.agent import reagent
from llama_index.agent.reagent import CritiqueAgent, CritiqueQueryEngine
from llama_index.core.base.base_query_engine import BaseQueryEngine


def test_class() -> None:
    assert issubclass(CritiqueQueryEngine, BaseQueryEngine)
    assert callable(CritiqueAgent.run)


def test_all_names_are_there() -> None:
    assert all(hasattr(reagent, name) for name in reagent.__all__)
