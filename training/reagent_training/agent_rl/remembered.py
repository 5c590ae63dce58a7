"""Tools whose results are kept: the same calls on the same task are run once, however many rollouts make them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from reagent_sdk.tools.base import Tool, ToolResult, opened

Memory = dict[str, ToolResult]
"""Results by task, tool and all calls of the attempt so far."""

_PASSING = ("KernelUnavailable", "TimeoutError")
"""Errors of the machine and not of the call: another try may go well."""


class RememberedTool:
    """A tool whose results depend on nothing but the task and the attempt's calls to it so far.

    The tool itself is opened at the first call that is not remembered, and is then given the attempt's earlier calls
    first, so that what they left behind is there. Not for tools whose results change, such as a search of the web.

    Args:
        tool: the tool.
        memory: shared by all attempts of a run.
        task: names the task.
    """

    def __init__(self, tool: Tool, memory: Memory, task: str) -> None:
        self.name, self.description, self.parameters = tool.name, tool.description, tool.parameters
        self._tool = tool
        self._memory = memory
        self._task = task

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[_Attempt]:
        """The tool for one attempt."""
        async with AsyncExitStack() as stack:
            yield _Attempt(self, stack)

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """One call that nothing came before."""
        async with self.opened() as fresh:
            return await fresh.call(arguments)

    def key(self, calls: list[Mapping[str, Any]]) -> str:
        """Names an attempt's calls up to the latest."""
        return json.dumps([self._task, self.name, calls], sort_keys=True, default=str)


class _Attempt:
    """The tool of one attempt. Calls made at the same time run one after the other."""

    def __init__(self, tool: RememberedTool, stack: AsyncExitStack) -> None:
        self.name, self.description, self.parameters = tool.name, tool.description, tool.parameters
        self._tool = tool
        self._stack = stack
        self._real: Tool | None = None
        self._calls: list[Mapping[str, Any]] = []
        self._run = 0
        self._one_at_a_time = asyncio.Lock()

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """The result of before, or that of the tool itself."""
        async with self._one_at_a_time:
            self._calls.append(arguments)
            key = self._tool.key(self._calls)
            known = self._tool._memory.get(key)
            if known is not None:
                return known
            result = await self._really()
            if result.error not in _PASSING:
                self._tool._memory[key] = result
            return result

    async def _really(self) -> ToolResult:
        """Runs all calls that the tool itself has not had yet; the result of the latest."""
        if self._real is None:
            self._real = await self._stack.enter_async_context(opened(self._tool._tool))
        result = ToolResult.failed("NotRun")
        while self._run < len(self._calls):
            result = await self._real.call(self._calls[self._run])
            self._run += 1
        return result
