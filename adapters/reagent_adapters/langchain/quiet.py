"""Runs calls out of sight: what happens in them reaches no stream of the graph or the runnable around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager, Callbacks
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config, var_child_runnable_config

from reagent_adapters.critique import Critique
from reagent_adapters.langchain.witness import Counter
from reagent_sdk import scope
from reagent_sdk.judges.around import AroundJudge
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict

GRAPH_STREAM = "__pregel_stream"
"""Under this key LangGraph hands a graph's stream to the graphs that its nodes call."""


def quiet(config: RunnableConfig) -> RunnableConfig:
    """The config without what streams. Tracers and the user's own callbacks stay.

    LangGraph's tag `nostream` would not do: it only keeps tokens out of `stream_mode="messages"`, and out of
    a stream of the call's own as well. The handlers that feed a stream are taken off instead.
    """
    settings = {key: value for key, value in config.get("configurable", {}).items() if key != GRAPH_STREAM}
    return {**config, "callbacks": _handlers(config.get("callbacks"), _still), "configurable": settings}


@contextmanager
def surrounded_by(config: RunnableConfig | None) -> Iterator[None]:
    """Makes a config the one around all calls inside; with None there is none.

    LangGraph merges the config around a call into the one that the call is given, also what was taken out of that.
    """
    token = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(token)


def with_handler(callbacks: Callbacks, handler: BaseCallbackHandler) -> Callbacks:
    """The callbacks and one more, which also hears the calls inside of calls."""
    if isinstance(callbacks, BaseCallbackManager):
        manager = callbacks.copy()
        manager.add_handler(handler, inherit=True)
        return manager
    return [*(callbacks or []), handler]


class QuietJudge(AroundJudge):
    """A judge whose own LangChain calls, if it makes any, stay out of the streams of whoever is judged.

    They are charged with the tokens that they report, and they see nothing of the surrounding graph: not its thread,
    its checkpointer or its stream writer.

    Args:
        judge: who judges.
    """

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The judge's verdict."""
        around = quiet(ensure_config())
        heard = _handlers(around.get("callbacks"), lambda one: not isinstance(one, Counter))  # those are the agent's
        callbacks = with_handler(heard, Counter(scope.current().meter))
        tags = [*around.get("tags", []), "nostream"]
        inside = RunnableConfig(callbacks=callbacks, tags=tags, metadata=around.get("metadata", {}))
        with surrounded_by(inside):
            return await self._judge.judge(task, trajectory)


def quietly(critique: Critique) -> Critique:
    """The same critique with its judge out of sight."""
    return critique.with_changes(judge=QuietJudge(critique.judge))


def counted_around() -> bool:
    """Whether the run around this call, if there is one, hears of each call of a model by itself."""
    callbacks = ensure_config().get("callbacks")
    handlers = callbacks.handlers if isinstance(callbacks, BaseCallbackManager) else callbacks or []
    return any(isinstance(one, Counter) and one.meter is scope.enclosing_meter() for one in handlers)


def _handlers(callbacks: Callbacks, wanted: Callable[[BaseCallbackHandler], bool]) -> Callbacks:
    if isinstance(callbacks, BaseCallbackManager):
        manager = callbacks.copy()
        manager.handlers = [one for one in manager.handlers if wanted(one)]
        manager.inheritable_handlers = [one for one in manager.inheritable_handlers if wanted(one)]
        return manager
    return [one for one in callbacks or [] if wanted(one)]


def _still(handler: BaseCallbackHandler) -> bool:
    """Whether a handler feeds no stream: those of `astream_events` and of LangGraph's stream modes tap outputs."""
    return not hasattr(handler, "tap_output_aiter")
