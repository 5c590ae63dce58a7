"""Tools of real MCP servers, over stdio and over streamable HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from reagent_sdk import InvalidInput, Policy, with_critique
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.errors import AgentError
from reagent_sdk.messages import ToolCall
from reagent_sdk.testing import ChatServer, Reply, ScriptedJudge
from reagent_sdk.tools.mcp import MCPServer

SERVER = '''
import os, socket, sys
from mcp.server import MCPServer

server = MCPServer("scales")

@server.tool()
def weigh(item: str) -> str:
    """Weighs an item."""
    if item == "ghost":
        raise LookupError("there is no ghost")
    return f"{item}: 7 kg"

@server.tool()
def secret() -> str:
    """Tells what it knows of its environment."""
    return os.environ.get("THE_SECRET", "nothing")

if sys.argv[1] == "stdio":
    server.run("stdio")
else:
    import uvicorn
    bound = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{bound.getsockname()[1]}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run(sockets=[bound])
'''


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "server.py"
    path.write_text(SERVER, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def url(script: Path) -> Iterator[str]:
    with subprocess.Popen([sys.executable, str(script), "http"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


async def results(server: MCPServer) -> dict[str, Any]:
    async with server.opened_tools() as tools:
        named = {tool.name: tool for tool in tools}
        (weigh,) = (tool for name, tool in named.items() if name.endswith("weigh"))
        return {
            "names": sorted(named),
            "schema": weigh.parameters,
            "good": await weigh.call({"item": "crate"}),
            "bad": await weigh.call({"item": "ghost"}),
            "wrong": await weigh.call({}),
        }


def check(got: dict[str, Any]) -> None:
    assert got["schema"]["required"] == ["item"]
    assert (got["good"].text, got["good"].error) == ("crate: 7 kg", None)
    assert got["bad"].error == "ToolError"
    assert "weigh" in got["bad"].text  # the server keeps the cause of an unexpected error to itself
    assert got["wrong"].error


def test_tools_over_stdio_and_no_secret_reaches_the_server(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_SECRET", "hunter2")
    server = MCPServer([sys.executable, str(script), "stdio"], prefix="scales_")
    got = asyncio.run(results(server))
    assert got["names"] == ["scales_secret", "scales_weigh"]
    check(got)

    async def ask() -> str:
        async with server.opened_tools() as tools:
            return (await tools[1].call({})).text

    assert asyncio.run(ask()) == "nothing"


def test_tools_over_streamable_http(url: str) -> None:
    got = asyncio.run(results(MCPServer(url, only=["weigh"])))
    assert got["names"] == ["weigh"]
    check(got)


def test_an_agent_uses_the_servers_tools(url: str, script: Path) -> None:
    calls = [ToolCall.make("weigh", {"item": "crate"}, id="a"), ToolCall.make("s_weigh", {"item": "box"}, id="b")]
    tools = [MCPServer(url), MCPServer([sys.executable, str(script), "stdio"], prefix="s_")]
    with ChatServer([Reply(tool_calls=calls), Reply("14 kg")]) as server:
        client = OpenAICompatible(server.base_url)
        with with_critique(client, tools=tools, judge=ScriptedJudge([1.0]), policy=Policy(rounds=0)) as agent:
            run = agent.run("What do a crate and a box weigh?")
    results = [message.text for message in run.attempts[0].trajectory.messages if message.role == "tool"]
    assert results == ["crate: 7 kg", "box: 7 kg"]


def test_errors_of_the_agent_are_not_wrapped_and_cancelling_ends_the_process(script: Path) -> None:
    server = MCPServer([sys.executable, str(script), "stdio"])

    async def failing() -> None:
        async with server.opened_tools():
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(failing())

    async def cancelled() -> None:
        opened = asyncio.Event()

        async def hold() -> None:
            async with server.opened_tools():
                opened.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hold())
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    left = [process for process in psutil.process_iter(["cmdline"]) if str(script) in (process.info["cmdline"] or [])]
    assert not [process for process in left if "stdio" in process.info["cmdline"]]


@pytest.mark.parametrize("bad", ["scales", "", []])
def test_what_is_no_server_says_what_is(bad: Any) -> None:
    with pytest.raises(InvalidInput, match="MCP server"):
        MCPServer(bad)


def test_a_server_that_cannot_be_reached_is_named() -> None:
    async def connect(server: MCPServer) -> None:
        async with server.opened_tools():
            raise AssertionError

    for server in (MCPServer("http://127.0.0.1:9/mcp"), MCPServer(["/does/not/exist"])):
        with pytest.raises(AgentError, match="cannot connect to MCPServer"):
            asyncio.run(connect(server))
