"""Who may come in, as the command line says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp

    from reagent_adapters.proxy.app import Doors
    from reagent_sdk.serving.log import EventLog


@dataclass(frozen=True)
class Door:
    """What was said about callers.

    Attributes:
        host: address to listen on.
        keys: the key file.
        ledger: where budgets are kept.
        pass_through: whether other keys go on to the upstream.
        no_auth: whether everybody may come in.
        origins: web pages whose scripts may call.
        guests: a file with the limits of callers who are in no key file.
    """

    host: str
    keys: Path | None = None
    ledger: Path | None = None
    pass_through: bool = False
    no_auth: bool = False
    origins: tuple[str, ...] = ()
    guests: Path | None = None

    @property
    def closed(self) -> bool:
        """Whether callers need a key."""
        return self.keys is not None or self.pass_through


def doors_of(door: Door, log: EventLog, *, in_flight: int) -> Doors:
    """The doors that were asked for.

    Args:
        door: what was said.
        log: events.
        in_flight: requests served at a time.

    Raises:
        InvalidInput: it would open the proxy by mistake, or a file cannot be used.
    """
    from reagent_adapters.proxy.accounts import AccountMetrics, Accounts, Books, Followed, KeyBook, Ledger, read_limits
    from reagent_adapters.proxy.app import Doors
    from reagent_sdk.cli.reach import check_reach
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.serving.local_hosts import is_loopback

    fix = "--keys FILE or --pass-through"
    check_reach(door.host, closed=door.closed, no_auth=door.no_auth, what="the proxy", fix=fix)
    if "*" in door.origins and not door.closed:
        raise InvalidInput(f"--cors-origin '*' lets every web page use a proxy without keys; pass {fix}")
    if any("://" not in origin for origin in door.origins if origin != "*"):
        raise InvalidInput("--cors-origin takes an origin such as https://app.example.com")
    if door.guests is not None and door.keys is not None and not door.pass_through:
        raise InvalidInput("--guest-limits is for callers who are in no key file; pass --pass-through to let them in")
    if door.ledger is not None and door.keys is None and door.guests is None:
        raise InvalidInput("--ledger keeps budgets; pass --keys FILE as well, or --guest-limits FILE")
    keys = KeyBook.from_file(door.keys, log=log) if door.keys is not None else None
    guests = Followed(door.guests, read_limits, "guests", log=log) if door.guests is not None else None
    ledger = Ledger(door.ledger)

    def accounts(app: ASGIApp, registry: CollectorRegistry) -> ASGIApp:
        books = Books(ledger, AccountMetrics(registry), log)
        return Accounts(app, keys=keys, pass_through=door.pass_through, guests=guests, books=books)

    local_only = not door.closed and is_loopback(door.host)
    return Doors(accounts, local_only, door.origins, in_flight)
