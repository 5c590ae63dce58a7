"""How a runnable is called: sync or async, at once or as a stream whose chunks are kept until they may be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import anyio.to_thread
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langgraph.pregel import Pregel

from reagent_adapters.langchain.inputs import core
from reagent_adapters.langchain.quiet import quiet, surrounded_by, with_handler


class Given(NamedTuple):
    """What a runnable gave: its output and, where it streamed, the chunks that its caller asked for."""

    output: Any
    chunks: list[Any]


@dataclass(frozen=True)
class Calls:
    """A runnable with the arguments of its calls.

    Args:
        bound: the runnable.
        config: of the calls, a child of the config of the run.
        kwargs: further arguments.
        blocking: call its sync methods, in a worker thread.
        streaming: stream it.
    """

    bound: Runnable[Any, Any]
    config: RunnableConfig
    kwargs: dict[str, Any]
    blocking: bool
    streaming: bool

    async def __call__(self, given: Any, handler: BaseCallbackHandler) -> Given:
        """One call. Nothing of it appears in any stream around it; `handler` hears all calls inside."""
        config = quiet(self.config)
        config["callbacks"] = with_handler(config.get("callbacks"), handler)
        with surrounded_by(None):
            return await self._call(given, config)

    async def _call(self, given: Any, config: RunnableConfig) -> Given:
        if not self.streaming:
            if self.blocking:
                call = partial(self.bound.invoke, given, config, **self.kwargs)
                return Given(await anyio.to_thread.run_sync(call, abandon_on_cancel=True), [])
            return Given(await self.bound.ainvoke(given, config, **self.kwargs), [])
        modes = _Modes.of(self.bound, self.kwargs)
        kwargs = {**self.kwargs, **(modes.kwargs if modes else {})}
        if self.blocking:
            read = partial(_read, self.bound, given, config, kwargs)
            chunks = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
        else:
            chunks = [chunk async for chunk in self.bound.astream(given, config, **kwargs)]
        return modes.sorted(chunks) if modes else Given(_summed(chunks), chunks)


class _Modes(NamedTuple):
    """The stream modes of a graph: those that the caller asked for, and the values; the last are the output."""

    asked: Any
    subgraphs: bool
    typed: bool

    @classmethod
    def of(cls, bound: Runnable[Any, Any], kwargs: dict[str, Any]) -> _Modes | None:
        graph = core(bound)
        while isinstance(bound, RunnableBindingBase):
            kwargs, bound = {**bound.kwargs, **kwargs}, bound.bound
        if not isinstance(graph, Pregel):
            return None
        asked = kwargs.get("stream_mode") or graph.stream_mode
        return cls(asked, bool(kwargs.get("subgraphs")), kwargs.get("version") == "v2")

    @property
    def kwargs(self) -> dict[str, Any]:
        return {"stream_mode": list(dict.fromkeys([*self._names, "values"]))}

    @property
    def _names(self) -> list[str]:
        return [self.asked] if isinstance(self.asked, str) else list(self.asked)

    def sorted(self, chunks: Iterable[Any]) -> Given:
        output, shown = None, []
        for chunk in chunks:
            if self.typed:
                space, mode, data = chunk["ns"], chunk["type"], chunk["data"]
            else:
                space, mode, data = chunk if self.subgraphs else ((), *chunk)
            if mode == "values" and not space:
                output = data
            if mode in self._names:
                shown.append(chunk if self.typed else self._as_asked(space, mode, data))
        return Given(output, shown)

    def _as_asked(self, space: Any, mode: str, data: Any) -> Any:
        parts = [*([space] if self.subgraphs else []), *([] if isinstance(self.asked, str) else [mode]), data]
        return parts[0] if len(parts) == 1 else tuple(parts)


def _read(bound: Runnable[Any, Any], given: Any, config: RunnableConfig, kwargs: dict[str, Any]) -> list[Any]:
    return list(bound.stream(given, config, **kwargs))


def _summed(chunks: list[Any]) -> Any:
    """The output behind a stream: the sum of its chunks or, where they do not add up, the last of them."""
    if not chunks:
        return None
    try:
        total = chunks[0]
        for chunk in chunks[1:]:
            total = total + chunk
    except TypeError:
        return chunks[-1]
    return total
