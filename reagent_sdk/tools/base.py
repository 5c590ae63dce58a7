"""What a tool is: a name, a JSON schema and an async call whose errors are results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, Self, runtime_checkable

from pydantic import Field

from reagent_sdk.frozen import Frozen


class ToolResult(Frozen):
    """What a tool call gave back. An error is a result too: it tells the model what went wrong."""

    text: str
    error: str | None = Field(None, description="type of the error, such as 'TimeoutError'; None when all went well")
    images: tuple[str, ...] = Field((), description="data URLs of pictures that belong to the result")

    @classmethod
    def failed(cls, error: BaseException | str, message: str = "") -> Self:
        """An error as a result: its type and its message."""
        kind = error if isinstance(error, str) else type(error).__name__
        detail = message or (str(error) if isinstance(error, BaseException) else "")
        return cls(text=f"{kind}: {detail}" if detail else kind, error=kind)


@runtime_checkable
class Tool(Protocol):
    """Something an agent can call."""

    @property
    def name(self) -> str:
        """Name by which the model calls it: letters, digits, '_' and '-'."""

    @property
    def description(self) -> str:
        """What it does and when to use it, for the model to read."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments, an object schema."""

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Runs the tool. Problems of the call itself are results with `error`, not exceptions."""


@runtime_checkable
class ToolSource(Protocol):
    """Something that has tools, such as an MCP server."""

    def opened_tools(self) -> AbstractAsyncContextManager[list[Tool]]:
        """The tools of one attempt; what they need is freed on leaving."""


@asynccontextmanager
async def opened(tool: Tool) -> AsyncIterator[Tool]:
    """A tool for one attempt. A tool with state of its own offers `opened()`, which gives each attempt a fresh one."""
    open_one = getattr(tool, "opened", None)
    if open_one is None:
        yield tool
    else:
        async with open_one() as fresh:
            yield fresh
