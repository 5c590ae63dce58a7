"""`reagent mcp`: serve critique to MCP clients over stdio or HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from reagent_sdk.cli.options import JsonOption, JudgeOption, ModelOption, check_spec, judge_spec, writable_log
from reagent_sdk.cli.reach import check_reach, keys_from

EXAMPLES = """\b
Examples:
  reagent mcp --judge http://127.0.0.1:8001/v1
  reagent mcp --model openai/gpt-5 --judge local --rounds 2
  reagent mcp --transport http --port 8020 --api-key-env REAGENT_MCP_KEY

\b
In a client's configuration:
  {"mcpServers": {"reagent": {"command": "reagent", "args": ["mcp", "--judge", "http://127.0.0.1:8001/v1"]}}}
"""

app = typer.Typer(help="Serve critique to MCP clients.")


@app.command("mcp", short_help="Serve critique as tools of an MCP server.", epilog=EXAMPLES)
def mcp(  # noqa: PLR0913 - one parameter an option
    judge: JudgeOption = None,
    model: ModelOption = "local",
    no_solve: Annotated[bool, typer.Option("--no-solve", help="Offer `critique` alone.")] = False,
    transport: Annotated[Literal["stdio", "http"], typer.Option(help="How clients connect.")] = "stdio",
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on (http).")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one (http).")] = 8020,
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Environment variable with the key that callers must have (http)."),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with such keys, one a line; any of them opens (http).")
    ] = None,
    rounds: Annotated[int, typer.Option(min=0, help="Revisions at most.")] = 1,
    accept: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stop at this score; without it at the judge's own gate.")
    ] = None,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Limit of each run: model calls.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Limit of each run: tokens.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0.001, help="Limit of each run: seconds.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="PATH", help="Append every run to this log.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Serve two tools to MCP clients: `critique(trajectory)` and `solve_with_critique(question)`.

    Over stdio stdout belongs to the protocol. Over HTTP the address is printed, the path is /mcp, and /health needs no
    key.
    """
    from reagent_adapters.versions import require
    from reagent_sdk.budget import Budget
    from reagent_sdk.policy import Policy

    require("mcp", "mcp")
    from reagent_adapters.mcp.running import Offer, over_http, over_stdio

    check_spec(model)
    offer = Offer(
        judge=judge_spec(judge),
        model=None if no_solve else model,
        policy=Policy(rounds=rounds, accept="gate" if accept is None else accept),
        budget=Budget(calls=max_calls, tokens=max_tokens, seconds=max_seconds),
        log=writable_log(log) if log else None,
    )
    if transport == "stdio":
        asyncio.run(over_stdio(offer))
        return
    keys = keys_from(api_key_env, api_key_file)
    check_reach(host, closed=keys is not None, no_auth=False, what="the server")
    asyncio.run(over_http(offer, (host, port), keys, lambda url: _announce(url, as_json=as_json)))


def _announce(url: str, *, as_json: bool) -> None:
    import sys

    from reagent_sdk.cli.terminal import to_stdout, write_json

    if as_json:
        write_json({"url": url})
    else:
        to_stdout(f"serving MCP at {url}")
    sys.stdout.flush()
