"""`reagent proxy`: critique for any application that can change its base URL."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reagent_adapters.proxy.cli_words import EXAMPLES, announce, show_new_key
from reagent_adapters.proxy.door import Door, doors_of
from reagent_sdk.cli.options import COMPOSED_FORMS, SPEC_FORMS, JsonOption, check_spec, judge_spec

if TYPE_CHECKING:
    from reagent_adapters.proxy.rules import Defaults
    from reagent_sdk.record import RunLog


def proxy(  # noqa: PLR0913 - one parameter an option
    upstream: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help=f"The model that answers, always needed: {SPEC_FORMS}."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help=f"The judge: {SPEC_FORMS}; composed: {COMPOSED_FORMS}. Without it $REAGENT_JUDGE, else the local one.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=0, help="Revisions at most; 0 judges and never revises.")] = 1,
    accept: Annotated[
        float | None, typer.Option(min=0, max=1, help="Stop at this score; without it at the judge's own gate.")
    ] = None,
    floor: Annotated[
        float | None, typer.Option(min=0, max=1, help="A final score below this makes the status `abstained`.")
    ] = None,
    keep: Annotated[Literal["best", "last"], typer.Option(help="Which attempt is returned.")] = "best",
    mode: Annotated[
        Literal["critique", "bare"],
        typer.Option(help="What requests without a policy get; `bare` passes them through."),
    ] = "critique",
    stream: Annotated[
        Literal["final_only", "drafts"], typer.Option(help="What streams show besides the answer that was chosen.")
    ] = "final_only",
    max_rounds: Annotated[int, typer.Option(min=0, help="Most revisions that a request may ask for.")] = 4,
    show_analysis: Annotated[
        bool, typer.Option("--show-analysis", help="Show callers the judge's analyses as well.")
    ] = False,
    log: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Append runs to this log, contents and all; none are kept else.")
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8010,
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key file: who may call, with budgets and rates.")
    ] = None,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Only draw a key: print it, this once, and its entry for the key file.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where budgets are kept; without it a restart forgets them.")
    ] = None,
    pass_through: Annotated[
        bool, typer.Option("--pass-through", help="Take other keys as the callers' own for the upstream.")
    ] = False,
    guest_limits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Budgets and rates of callers who are in no key file.")
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Serve without keys on an address that other machines reach.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(metavar="ORIGIN", help="A web page's origin whose scripts may call; repeatable.")
    ] = None,
    upstream_key_env: Annotated[
        str,
        typer.Option(metavar="NAME", help="Environment variable with the key for the upstream's address."),
    ] = "REAGENT_UPSTREAM_KEY",
    price: Annotated[
        str | None,
        typer.Option(metavar="IN,OUT", help="US dollars per million prompt and completion tokens, for an address."),
    ] = None,
    judge_seconds: Annotated[float, typer.Option(min=0.1, help="Longest time for one verdict.")] = 120.0,
    request_seconds: Annotated[
        float, typer.Option(min=1, help="Longest time for one request; then the best draft there is.")
    ] = 600.0,
    keepalive_seconds: Annotated[float, typer.Option(min=0.1, help="Silence in streams before a comment.")] = 5.0,
    max_in_flight: Annotated[int, typer.Option(min=1, help="Requests at a time; further ones get 429.")] = 512,
    max_body: Annotated[int, typer.Option(min=1, metavar="BYTES", help="Largest request.")] = 8 * 2**20,
    max_choices: Annotated[int, typer.Option(min=1, help="Largest `n`.")] = 16,
    probe_seconds: Annotated[float, typer.Option(min=0.1, help="Between two looks at upstream and judge.")] = 5.0,
    drain_seconds: Annotated[
        float,
        typer.Option(min=0, help="After SIGTERM or Ctrl-C, time for requests to finish; a second one ends at once."),
    ] = 30.0,
    as_json: JsonOption = False,
) -> None:
    """Serve the OpenAI protocol, with critique, in front of any model.

    Prints one line with the address when the upstream can be reached; requests are logged on stderr, without their
    contents. /health, /ready and /metrics need no key.
    """
    import asyncio
    from importlib.util import find_spec

    from reagent_sdk.errors import InvalidInput, MissingExtra

    if new_key:
        show_new_key(as_json=as_json)
        return
    if upstream is None:
        raise InvalidInput(f"--upstream is missing: {SPEC_FORMS}")
    if any(find_spec(name) is None for name in ("starlette", "uvicorn", "prometheus_client")):
        raise MissingExtra("the proxy", "serve")
    from reagent_adapters.proxy.app import Telling
    from reagent_adapters.proxy.chat import Settings
    from reagent_adapters.proxy.connect import price_of
    from reagent_adapters.proxy.host import Hosting, Parties, serve
    from reagent_adapters.proxy.sse import Pace
    from reagent_sdk.serving.host import listen, url_of
    from reagent_sdk.serving.log import EventLog

    check_spec(upstream)
    events = EventLog()
    wishes = {"rounds": rounds, "floor": floor, "keep": keep, **({} if accept is None else {"accept": accept})}
    settings = Settings(
        defaults=_defaults(wishes, {"mode": mode, "stream": stream}, max(max_rounds, rounds), request_seconds),
        body_bytes=max_body,
        max_choices=max_choices,
        pace=Pace(keepalive_seconds, request_seconds),
    )
    door = Door(host, keys, ledger, pass_through, no_auth, tuple(cors_origin or ()), guest_limits)
    hosting = Hosting(
        settings,
        doors_of(door, events, in_flight=max_in_flight),
        Telling(_record(log), show_analysis),
        drain_seconds,
    )
    parties = Parties(upstream, judge_spec(judge), upstream_key_env, judge_seconds, price_of(price), probe_seconds)
    with listen(host, port) as sock:
        url = url_of(sock)
        announcing = functools.partial(announce, url, parties, as_json=as_json)
        asyncio.run(serve(parties, hosting, sock, events, announcing))


def _defaults(policy: dict[str, Any], way: dict[str, Any], max_rounds: int, seconds: float) -> Defaults:
    from reagent_adapters.proxy.rules import Defaults, Rules, Way
    from reagent_sdk.policy import Policy

    return Defaults(Rules(Policy(**policy), Way(**way)), max_rounds, seconds)


def _record(path: Path | None) -> RunLog | None:
    from reagent_sdk.cli.options import writable_log
    from reagent_sdk.record import RunLog

    return RunLog(writable_log(path)) if path else None


app = typer.Typer()
app.command("proxy", short_help="Serve the OpenAI protocol with critique.", epilog=EXAMPLES)(proxy)
