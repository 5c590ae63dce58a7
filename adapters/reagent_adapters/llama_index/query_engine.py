"""Query engines with a judge, which reads what they retrieved."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias, Unpack

import anyio.to_thread
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE, AsyncStreamingResponse, StreamingResponse
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.llama_index.metering import charged, metered
from reagent_adapters.llama_index.options import Rules, critique_of
from reagent_adapters.llama_index.reading import answer_of, finished, retrieval
from reagent_adapters.results import answer_text, with_run
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import revision_prompt
from reagent_sdk.specs import JudgeLike
from reagent_sdk.task import Task

_Answered: TypeAlias = "tuple[RESPONSE_TYPE, str]"
_Ask: TypeAlias = Callable[[QueryBundle], Awaitable[_Answered]]


class CritiqueQueryEngine(Closing, BaseQueryEngine):
    """A query engine that returns the best of its responses, with `source_nodes` and in the engine's own type.

    It stands wherever a query engine does: in a tool, a router, a chat engine. A revision asks the engine again, with
    draft and critique in the question, while vectors are still searched with the question as it was asked. A streaming
    response is read to its end, judged, and streamed from memory. `run_of(response)` is the run behind a response.

    Args:
        query_engine: the engine. Its models are found and each of their calls is counted before it is made.
        judge: a spec, a function `(task, trajectory)`, a Judge, a list of them, or a ready :class:`Critique`.
        rules: `policy`, `budget` and `log`.

    Raises:
        InvalidInput: this is no query engine, or as :meth:`Critique.of` says.
    """

    def __init__(
        self, query_engine: BaseQueryEngine, judge: JudgeLike | Critique = None, **rules: Unpack[Rules]
    ) -> None:
        if not isinstance(query_engine, BaseQueryEngine):
            raise InvalidInput(f"{type(query_engine).__name__} is no query engine; index.as_query_engine() makes one")
        Closing.__init__(self, critique_of(judge, **rules))
        BaseQueryEngine.__init__(self, getattr(query_engine, "callback_manager", None))
        self.query_engine = query_engine

    def retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """What the engine retrieves, unjudged."""
        return self.query_engine.retrieve(query_bundle)

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        async def ask(query: QueryBundle) -> _Answered:
            return await anyio.to_thread.run_sync(
                lambda: _buffered(self.query_engine.query(query)), abandon_on_cancel=True
            )

        return self._portal.call(self._critiqued, query_bundle, ask)

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        async def ask(query: QueryBundle) -> _Answered:
            return await _abuffered(await self.query_engine.aquery(query))

        return await self._critiqued(query_bundle, ask)

    async def _critiqued(self, query: QueryBundle, ask: _Ask) -> RESPONSE_TYPE:
        loop = self.critique.loop(Task.of(query.query_str), _Attempts(self.query_engine, query, ask))
        run = await loop.run()
        response: RESPONSE_TYPE = loop.output()
        return with_run(response, run)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {"query_engine": self.query_engine}


class _Attempts:
    """Makes the attempts of one run."""

    def __init__(self, engine: BaseQueryEngine, query: QueryBundle, ask: _Ask) -> None:
        self._engine = engine
        self._query = query
        self._ask = ask

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        metered(self._engine)
        before = scope.current().meter.usage
        scope.current().meter.require_room()
        response, answer = await self._ask(self._query if feedback is None else self._revised(feedback))
        trajectory = finished(retrieval(task.question, response.source_nodes), answer, None)
        return Work(trajectory.model_copy(update={"usage": charged(before)}), response)

    def _revised(self, feedback: Feedback) -> QueryBundle:
        asked = revision_prompt(self._query.query_str, feedback.previous.answer, feedback.critique)
        return replace(self._query, query_str=asked, custom_embedding_strs=self._query.embedding_strs)

    async def aclose(self) -> None:
        """Nothing to free."""


def _buffered(response: RESPONSE_TYPE) -> _Answered:
    """The same response and its answer; a stream is read and then comes from memory."""
    if isinstance(response, StreamingResponse):
        tokens = list(response.response_gen)
        response.response_gen = (token for token in tokens)
        return response, answer_text("".join(tokens))
    return response, answer_of(response)


async def _abuffered(response: RESPONSE_TYPE) -> _Answered:
    if not isinstance(response, AsyncStreamingResponse):
        return _buffered(response)
    tokens = [token async for token in response.response_gen]

    async def replayed() -> AsyncGenerator[str, None]:
        for token in tokens:
            yield token

    response.response_gen = replayed()
    return response, answer_text("".join(tokens))
