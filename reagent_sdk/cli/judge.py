"""`reagent judge`: hosting a judge for others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import JsonOption, check_spec
from reagent_sdk.cli.reach import check_reach, keys_from

if TYPE_CHECKING:
    from reagent_sdk.serving.backends import Target

SERVE_EXAMPLES = """\b
Engines:
  embedded   a GGUF file on the CPU, in a child process: local, local:PATH.gguf[?lora=FILE.gguf]
  vllm       the official vLLM as a child process: hf:ORG/NAME, hf:FOLDER
  attach     a server that runs already: http://HOST:PORT/v1[#MODEL]

\b
Examples:
  reagent judge serve
  reagent judge serve local:judge.gguf --slots 4 --port 8001 --api-key-env REAGENT_SERVE_KEY
  reagent judge serve hf:ORG/JUDGE --vllm-python vllm-env/bin/python -- --max-model-len 16384
  reagent judge serve hf:ORG/BASE --engine vllm --lora judge=adapters/judge
  reagent judge serve http://10.0.0.5:8000/v1#judge
  REAGENT_JUDGE=http://127.0.0.1:8001/v1 reagent ask "What is 15% of 80?"
"""


def serve(  # noqa: PLR0913 - one parameter an option
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[JUDGE] [-- VLLM FLAGS]",
            help="What judges: local[:PATH.gguf[?lora=FILE]], hf:NAME_OR_FOLDER or http://HOST:PORT/v1[#MODEL]; the "
            "default model of the embedded engine if left out. Words after `--` are passed to vLLM.",
        ),
    ] = None,
    engine: Annotated[
        Literal["auto", "embedded", "vllm", "attach"],
        typer.Option(help="What runs it; `auto` goes by the form of JUDGE, and asks for a GPU where vLLM is needed."),
    ] = "auto",
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8001,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with the key that callers must have.")
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with such keys, one a line; any of them opens.")
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Serve without a key on an address that other machines reach.")
    ] = False,
    slots: Annotated[int, typer.Option(min=1, help="Verdicts at a time (embedded).")] = 2,
    context: Annotated[int, typer.Option(min=256, metavar="TOKENS", help="Window of each slot (embedded).")] = 8192,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads (embedded); all cores but one.")] = None,
    lora: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="A LoRA adapter (vllm); the first one judges.")
    ] = None,
    vllm_python: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Python of the environment that has vLLM; this one if it does.")
    ] = None,
    backend_key_env: Annotated[
        str, typer.Option(metavar="NAME", help="Environment variable with the key of the server to attach to.")
    ] = "REAGENT_API_KEY",
    max_in_flight: Annotated[
        int | None,
        typer.Option(min=1, help="Requests at a time; further ones get 429. 16 a slot if embedded, else 512."),
    ] = None,
    max_body: Annotated[int, typer.Option(min=1, metavar="BYTES", help="Largest request.")] = 8 * 2**20,
    request_seconds: Annotated[float, typer.Option(min=1, help="Longest time for one request.")] = 600.0,
    drain_seconds: Annotated[
        float,
        typer.Option(min=0, help="After SIGTERM or Ctrl-C, time for requests to finish; a second one ends at once."),
    ] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Serve a judge with the OpenAI protocol, for `reagent`, the SDK and any other client.

    Prints one line with the address when the judge answers; requests are logged on stderr, without their contents.
    /health, /ready and /metrics need no key.
    """
    import asyncio
    from importlib.util import find_spec

    from reagent_sdk.errors import MissingExtra

    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "prometheus_client")):
        raise MissingExtra("serving a judge", "serve")
    from reagent_sdk.serving.app import Limits
    from reagent_sdk.serving.choose import Wish, choose
    from reagent_sdk.serving.host import Hosting, listen, url_of
    from reagent_sdk.serving.host import serve as host_until_told
    from reagent_sdk.serving.log import EventLog

    spec, flags = _split(words or [])
    check_spec(spec or "local")
    keys = keys_from(api_key_env, api_key_file)
    check_reach(host, closed=keys is not None, no_auth=no_auth, what="the judge")
    wish = Wish(
        spec=spec,
        engine=engine,
        slots=slots,
        context=context,
        threads=threads,
        adapters=_adapters(lora or []),
        vllm_python=vllm_python,
        vllm_flags=flags,
        backend_key=backend_key_env,
        hidden=[name for name in (api_key_env, backend_key_env) if name],
    )
    log = EventLog()
    backend, card = choose(wish, log)
    usual = 16 * slots if backend.engine == "embedded" else 512
    limits = Limits(in_flight=max_in_flight or usual, body_bytes=max_body, seconds=request_seconds)
    hosting = Hosting(host=host, port=port, keys=keys, limits=limits, drain_seconds=drain_seconds)
    with listen(host, port) as sock:
        url = url_of(sock)

        def announce(target: Target) -> None:
            _announce(url, target, backend.engine, card.caveat, as_json=as_json)

        asyncio.run(host_until_told(backend, card, hosting, sock, log, announce))


def _announce(url: str, target: Target, engine: str, caveat: str, *, as_json: bool) -> None:
    """The line that says that the judge can be used."""
    import sys

    from reagent_sdk.cli.terminal import one_line, to_stdout, write_json

    model = str(target.models[0]["id"]) if target.models else None
    if as_json:
        write_json({"url": url, "engine": engine, "model": model, "caveat": caveat, "pid": os.getpid()})
        return
    if caveat:
        exits.warn(caveat)
    to_stdout(f"serving {one_line(model or 'the judge')} ({engine}) at {url}")
    sys.stdout.flush()


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """The judge and vLLM's flags: the shell's `--` is gone by now, but no judge begins with a dash."""
    if words and not words[0].startswith("-"):
        return words[0], words[1:]
    return None, words


def _adapters(given: list[str]) -> dict[str, Path]:
    from reagent_sdk.errors import InvalidInput

    pairs = [one.partition("=") for one in given]
    wrong = [one for one, (name, _, path) in zip(given, pairs, strict=True) if not name or not path]
    if wrong:
        raise InvalidInput(f"--lora {wrong[0]!r} is not NAME=FOLDER")
    return {name: Path(path) for name, _, path in pairs}


app = typer.Typer(help="Host a judge.")
app.command("serve", short_help="Serve a judge with the OpenAI protocol.", epilog=SERVE_EXAMPLES)(serve)
