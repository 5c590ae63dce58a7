"""Tools whose results are kept: the same calls on the same task are run once, however many rollouts make them.

For tools whose results depend on nothing but the task and the attempt's calls so far; not for a search of the web. What
has to be run is run by the real tool. Python kernels, which take long to start, serve one attempt after another: before
each call that is not remembered, a kernel is emptied and given the attempt's earlier calls again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from reagent_sdk.tools.base import Tool, ToolResult, opened

_PASSING = ("KernelUnavailable", "TimeoutError")
"""Errors of the machine and not of the call: another try may go well."""
_EMPTY = {"python": {"code": "%reset -f"}}
"""By tool: the call after which nothing is left of earlier ones. Other tools keep nothing from call to call."""


class Memory:
    """Results by task, tool and all calls of the attempt so far, and the tools that are kept open for new ones.

    Args:
        kernels: how many of a tool that is slow to open work at a time.
    """

    def __init__(self, kernels: int = 2) -> None:
        self._results: dict[str, ToolResult] = {}
        self._free: dict[str, list[Tool]] = {}
        self._stack = AsyncExitStack()
        self._places = asyncio.Semaphore(kernels)

    async def result(self, tool: Tool, task: str, calls: list[Mapping[str, Any]]) -> ToolResult:
        """The result of the latest of an attempt's calls."""
        key = json.dumps([task, tool.name, calls], sort_keys=True, default=str)
        if key not in self._results:
            result = await self._run(tool, calls)
            if result.error in _PASSING:
                return result
            self._results[key] = result
        return self._results[key]

    async def aclose(self) -> None:
        """Closes the tools that are open, in the event loop that they were used in."""
        self._free.clear()
        await self._stack.aclose()

    async def _run(self, tool: Tool, calls: list[Mapping[str, Any]]) -> ToolResult:
        if tool.name not in _EMPTY:
            async with opened(tool) as real:
                return await real.call(calls[-1])
        async with self._taken(tool) as real:
            result = await real.call(_EMPTY[tool.name])
            for call in calls:
                result = await real.call(call)
            return result

    @asynccontextmanager
    async def _taken(self, tool: Tool) -> AsyncIterator[Tool]:
        """A tool that nobody else uses meanwhile; one whose call was cut off is not used again."""
        async with self._places:
            free = self._free.setdefault(tool.name, [])
            real = free.pop() if free else await self._stack.enter_async_context(opened(tool))
            yield real
            free.append(real)


class RememberedTool:
    """A tool as one attempt sees it.

    Args:
        tool: the real one.
        memory: shared by all attempts of a run.
        task: names the task.
    """

    def __init__(self, tool: Tool, memory: Memory, task: str) -> None:
        self.name, self.description, self.parameters = tool.name, tool.description, tool.parameters
        self._tool, self._memory, self._task = tool, memory, task
        self._calls: list[Mapping[str, Any]] = []
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[RememberedTool]:
        """The tool for one attempt, which nothing came before."""
        yield RememberedTool(self._tool, self._memory, self._task)

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """The result of before, or that of the tool itself."""
        async with self._one_at_a_time:
            self._calls.append(arguments)
            return await self._memory.result(self._tool, self._task, list(self._calls))
