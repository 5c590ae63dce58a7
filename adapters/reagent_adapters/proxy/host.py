"""Runs the proxy until a signal ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reagent_adapters.proxy.app import Doors, Telling, build
from reagent_adapters.proxy.connect import KEY_VARIABLE, upstream_for
from reagent_adapters.proxy.patience import PatientJudge
from reagent_adapters.proxy.watch import Watch
from reagent_sdk.clients.replies import Price
from reagent_sdk.serving.host import connections, until_told, url_of
from reagent_sdk.specs import judge_for

if TYPE_CHECKING:
    import socket

    from reagent_adapters.proxy.chat import Settings
    from reagent_sdk.serving.log import EventLog


@dataclass(frozen=True)
class Parties:
    """Who takes part besides the callers.

    Attributes:
        upstream: what drafts, an address or a model.
        judge: what judges.
        key_variable: environment variable with the key for the upstream's address.
        judge_seconds: longest time for one verdict.
        price: US dollars per million prompt and per million completion tokens of the upstream's address.
        probe_seconds: time between two looks at upstream and judge.
    """

    upstream: str
    judge: str
    key_variable: str = KEY_VARIABLE
    judge_seconds: float = 120.0
    price: Price | None = None
    probe_seconds: float = 5.0


@dataclass(frozen=True)
class Hosting:
    """How the proxy is run.

    Attributes:
        settings: how requests are taken.
        doors: who comes in.
        telling: what is told about runs.
        drain_seconds: time that requests have to finish after the first signal.
    """

    settings: Settings
    doors: Doors = field(default_factory=Doors)
    telling: Telling = field(default_factory=Telling)
    drain_seconds: float = 30.0


async def serve(
    parties: Parties, hosting: Hosting, sock: socket.socket, log: EventLog, announce: Callable[[str], None]
) -> None:
    """Serves until the first SIGTERM or SIGINT, then finishes what is under way. A second signal ends the process.

    Args:
        parties: upstream and judge.
        hosting: how to run.
        sock: where to listen.
        log: events and requests.
        announce: called once with the judge's caveat, when the upstream can be reached for the first time.

    Raises:
        InvalidInput: upstream or judge are not what they should be.
        WeightsUnavailable: local weights are missing.
    """
    async with connections() as session:
        upstream = upstream_for(parties.upstream, session, log, key_variable=parties.key_variable, price=parties.price)
        judge = PatientJudge(judge_for(parties.judge), seconds=parties.judge_seconds)
        watch = Watch(upstream, judge, parties.judge, session, log, interval=parties.probe_seconds)
        front = build(upstream, judge, watch, log, hosting.settings, hosting.doors, hosting.telling)
        log.write("listening", url=url_of(sock), upstream=upstream.name, judge=judge.name)

        async def announcing() -> None:
            await watch.ready()
            announce(str(getattr(judge, "caveat", "")))

        try:
            await until_told(front, sock, log, hosting.drain_seconds, work=watch.run(), announcing=announcing())
        finally:
            await judge.aclose()
            await upstream.aclose()
