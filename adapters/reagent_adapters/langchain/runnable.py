"""Critique around any runnable of LangChain, or any graph of LangGraph."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from os import PathLike
from typing import Any

import anyio
from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.runnables.utils import ConfigurableFieldSpec, Input, Output

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.langchain.attempts import Paused, RunnableAgent
from reagent_adapters.langchain.calls import Calls, Given
from reagent_adapters.langchain.quiet import quietly
from reagent_sdk.budget import Budget
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog, append_safely
from reagent_sdk.run import Run
from reagent_sdk.scope import Observer
from reagent_sdk.specs import JudgeLike


class CritiqueRunnable(Runnable[Input, Output], Closing):
    """A runnable that is called, judged and revised, and gives what it gave in the best attempt.

        solver = CritiqueRunnable(prompt | model | StrOutputParser(), judge="local")
        solver.invoke({"question": "What is 2 + 3?"})

    It takes what the wrapped runnable takes and gives what that gives. Streams hold the final answer only, in the
    chunks in which the wrapped runnable streamed it.

    Args:
        bound: a chat model, a chain, a graph, an agent or a plain function.
        judge: who judges, see :func:`reagent_sdk.with_critique`; or a ready :class:`Critique`.
        policy: how to revise and what to keep.
        budget: limits of each run; all model calls inside, those of tools and subagents too, and the judge's.
        log: path of a run log; every run is appended to it.
        input_key: where the question stands in a dict, as a text or as messages; by default under "messages",
            "question", "input" or "query", or it is the only text.
        observe: called with each event of a run; the last one is `RunFinished`.
    """

    def __init__(
        self,
        bound: Any,
        judge: JudgeLike | Critique = None,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: RunLog | str | PathLike[str] | None = None,
        input_key: str | None = None,
        observe: Observer | None = None,
    ) -> None:
        given = judge if isinstance(judge, Critique) else Critique.of(judge, policy=policy, budget=budget, log=log)
        Closing.__init__(self, quietly(given))
        self.bound: Runnable[Input, Output] = coerce_to_runnable(bound)
        self._input_key = input_key
        self._observe = observe

    def __repr__(self) -> str:
        return f"CritiqueRunnable({self.bound!r}, judge={self.critique.judge.name!r})"

    @property
    def InputType(self) -> type[Input]:  # noqa: N802 - LangChain's name
        """What it takes: what the wrapped runnable takes."""
        return self.bound.InputType

    @property
    def OutputType(self) -> type[Output]:  # noqa: N802 - LangChain's name
        """What it gives: what the wrapped runnable gives."""
        return self.bound.OutputType

    @property
    def config_specs(self) -> list[ConfigurableFieldSpec]:
        """What can be configured in the wrapped runnable."""
        return self.bound.config_specs

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        """The schema of the wrapped runnable's input."""
        return self.bound.get_input_schema(config)

    def get_output_schema(self, config: RunnableConfig | None = None) -> Any:
        """The schema of the wrapped runnable's output."""
        return self.bound.get_output_schema(config)

    def invoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        """Answers as the wrapped runnable would, after critique.

        Raises:
            InvalidInput: there is no question in the input.
            BudgetExceeded: the budget ran out before there was a draft.
            JudgeFailed: no verdict, and the policy makes that an error.
            Exception: what the wrapped runnable raised on its first attempt.
        """

        def call(given: Input, run_manager: CallbackManagerForChainRun, config: RunnableConfig) -> Any:
            return self._portal.call(self._run, given, Calls(self.bound, config, kwargs, True, False)).output

        return self._call_with_config(call, input, config)

    async def ainvoke(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Output:
        """Like :meth:`invoke`, in the caller's event loop."""

        async def call(given: Input, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig) -> Any:
            return (await self._run(given, Calls(self.bound, config, kwargs, False, False))).output

        return await self._acall_with_config(call, input, config)

    def stream(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Output]:
        """The chunks of the final answer, when it is final. Raises what :meth:`invoke` raises."""

        def replay(
            inputs: Iterator[Input], run_manager: CallbackManagerForChainRun, config: RunnableConfig
        ) -> Iterator[Output]:
            calls = Calls(self.bound, config, kwargs, True, True)
            for given in inputs:
                yield from self._portal.call(self._run, given, calls).chunks

        yield from self._transform_stream_with_config(iter([input]), replay, config)

    async def astream(self, input: Input, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Output]:
        """Like :meth:`stream`, in the caller's event loop. Leaving it early cancels the run."""

        async def inputs() -> AsyncIterator[Input]:
            yield input

        async def replay(
            inputs: AsyncIterator[Input], run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
        ) -> AsyncIterator[Output]:
            async for given in inputs:
                for chunk in (await self._run(given, Calls(self.bound, config, kwargs, False, True))).chunks:
                    yield chunk

        async for chunk in self._atransform_stream_with_config(inputs(), replay, config):
            yield chunk

    async def _run(self, given: Any, calls: Calls) -> Given:
        """One run, logged however it ends, unless a graph has paused in its first attempt: it is not over then."""
        agent = RunnableAgent(calls, given, self._input_key)
        loop = self.critique.with_changes(log=None).loop(await agent.task(), agent, self._observe)
        try:
            run = await loop.run()
        except Paused as paused:
            return paused.given
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._leave(agent, loop.result())
            raise
        await self._leave(agent, run)
        output: Given = loop.output()
        return output

    async def _leave(self, agent: RunnableAgent, run: Run) -> None:
        if self.critique.log is not None:
            await append_safely(self.critique.log, run)
        if run.chosen is not None:
            await agent.settle(run.chosen)
