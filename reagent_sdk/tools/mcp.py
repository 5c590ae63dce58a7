"""Tools of MCP servers, through the official client."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reagent_sdk.errors import AgentError, InvalidInput, MissingExtra
from reagent_sdk.tools.base import Tool, ToolResult

if TYPE_CHECKING:
    from mcp import Client, StdioServerParameters


class MCPServer:
    """All tools of an MCP server, for the `tools` of an agent. Each attempt has a session of its own.

    Args:
        server: a URL (streamable HTTP), or a command and its arguments (stdio).
        env: environment of a command, on top of the few variables that the client passes on; secrets of this process
            do not reach the server by themselves.
        prefix: put before the tools' names, to tell servers apart.
        only: names of the tools to offer; all by default.

    Raises:
        InvalidInput: neither a URL nor a command.
    """

    def __init__(
        self,
        server: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        prefix: str = "",
        only: Sequence[str] | None = None,
    ) -> None:
        if isinstance(server, str) and not server.startswith(("http://", "https://")):
            raise InvalidInput(
                f"{server!r} is not an MCP server: pass a URL, or a list with a command and its arguments"
            )
        if not server:
            raise InvalidInput("the command of the MCP server is empty")
        self._server = server if isinstance(server, str) else tuple(server)
        self._env = dict(env or {})
        self._prefix = prefix
        self._only = None if only is None else frozenset(only)

    def __repr__(self) -> str:
        return f"MCPServer({self._server if isinstance(self._server, str) else self._server[0]!r})"

    @asynccontextmanager
    async def opened_tools(self) -> AsyncIterator[list[Tool]]:
        """Connects and lists the tools; disconnects, or ends the process, on leaving.

        Raises:
            MissingExtra: the `mcp` package is not installed.
            AgentError: the server cannot be reached or does not speak MCP.
        """
        try:
            from mcp import Client
        except ImportError:
            raise MissingExtra("tools of an MCP server", "tools") from None
        client = Client(self._target())
        try:
            await client.__aenter__()
        except Exception as error:
            raise AgentError(f"cannot connect to {self!r}: {_reason(error)}") from error
        try:
            listed = await _all_tools(client)
            yield [
                _RemoteTool(client, tool.name, self._prefix + tool.name, tool.description or "", tool.input_schema)
                for tool in listed
                if self._only is None or tool.name in self._only
            ]
        except Exception:
            await client.__aexit__(None, None, None)  # told of the error, its task group would wrap it
            raise
        except BaseException:  # a cancellation must pass through the client's own scopes
            await client.__aexit__(*sys.exc_info())
            raise
        else:
            await client.__aexit__(None, None, None)

    def _target(self) -> str | StdioServerParameters:
        if isinstance(self._server, str):
            return self._server
        from mcp import StdioServerParameters

        command, *arguments = self._server
        return StdioServerParameters(command=command, args=arguments, env=self._env or None)


@dataclass(frozen=True)
class _RemoteTool:
    client: Client
    remote_name: str
    name: str
    description: str
    parameters: Mapping[str, Any]

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Calls the tool on its server; what goes wrong there is a result."""
        from mcp import MCPError

        try:
            result = await self.client.call_tool(self.remote_name, dict(arguments))
        except MCPError as error:
            return ToolResult.failed(error)
        texts = [part.text for part in result.content if part.type == "text"]
        images = [f"data:{part.mime_type};base64,{part.data}" for part in result.content if part.type == "image"]
        others = [f"[{part.type}]" for part in result.content if part.type not in ("text", "image")]
        text = "\n".join([*texts, *others])
        return ToolResult(text=text, error="ToolError" if result.is_error else None, images=tuple(images))


async def _all_tools(client: Client) -> list[Any]:
    """All pages of the server's list of tools."""
    tools: list[Any] = []
    cursor = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            return tools


def _reason(error: BaseException) -> str:
    """The first real cause inside the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
