"""From what the user named to the upstream that is called."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from reagent_adapters.proxy.client_upstream import ClientUpstream
from reagent_adapters.proxy.http_upstream import HttpUpstream
from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.clients.replies import Price
from reagent_sdk.errors import InvalidInput
from reagent_sdk.specs import client_for

if TYPE_CHECKING:
    import aiohttp

    from reagent_adapters.proxy.upstream import Upstream
    from reagent_sdk.serving.log import EventLog

KEY_VARIABLE = "REAGENT_UPSTREAM_KEY"


def price_of(given: str | None) -> Price | None:
    """Reads `2.5,10`: US dollars per million prompt and per million completion tokens.

    Raises:
        InvalidInput: it is anything else.
    """
    if given is None:
        return None
    try:
        prompt, completion = (float(part) for part in given.split(","))
    except ValueError:
        raise InvalidInput(f"--price {given!r} is not IN,OUT, such as --price 2.5,10") from None
    if not (0 <= prompt < math.inf and 0 <= completion < math.inf):
        raise InvalidInput("--price takes US dollars of 0 or more")
    return prompt, completion


def endpoint_of(spec: str, key_variable: str) -> tuple[Endpoint, str | None] | None:
    """The address that a spec names and the one model there, if it picks one; None for specs of other forms.

    Args:
        spec: the upstream.
        key_variable: environment variable with the server's key for it.

    Raises:
        InvalidInput: the address or the key cannot be used.
    """
    if not spec.startswith(("http://", "https://")):
        return None
    url, _, model = spec.partition("#")
    key = os.environ.get(key_variable, "")
    return Endpoint.of(url, None if "@" in url else key), model or None


def upstream_for(
    spec: str, session: aiohttp.ClientSession, log: EventLog, *, key_variable: str, price: Price | None = None
) -> Upstream:
    """The upstream of a spec: an address, or a model in the notation of `specs`.

    Args:
        spec: which one.
        session: connections for addresses.
        log: where failures of models are told.
        key_variable: environment variable with the server's key for an address.
        price: US dollars per million prompt and per million completion tokens, for addresses.

    Raises:
        InvalidInput: the spec has none of the known forms.
        WeightsUnavailable: local weights are missing.
    """
    found = endpoint_of(spec, key_variable)
    if found is not None:
        endpoint, model = found
        return HttpUpstream(endpoint, session, log, model=model, price=price)
    if price is not None:
        raise InvalidInput("--price is for addresses; litellm knows the prices of its models")
    return ClientUpstream(client_for(spec), spec, log)
