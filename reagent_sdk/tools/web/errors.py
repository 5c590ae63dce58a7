"""What can go wrong with a fetch.

FetchError (ReagentError)
├── UrlRefused            the URL itself: scheme, credentials, port, an odd spelling of an address
├── AddressRefused        the name leads to an address that must not be called
├── TooManyRedirects      more hops than allowed
├── FetchTimeout          no connection, no byte or no end in time
├── Unreachable           no such name, refused, reset, bad certificate, not HTTP
└── ContentRefused        a type that is not read, a broken or unknown encoding
"""

from __future__ import annotations

from reagent_sdk.errors import ReagentError


class FetchError(ReagentError):
    """A page could not be fetched. The message says why, for a model to read."""


class UrlRefused(FetchError):
    """The URL is not one that is fetched."""


class AddressRefused(FetchError):
    """The host is, or leads to, an address that must not be called."""


class TooManyRedirects(FetchError):
    """The server kept redirecting."""


class FetchTimeout(FetchError):
    """The server was too slow."""


class Unreachable(FetchError):
    """There was no conversation with the server."""


class ContentRefused(FetchError):
    """What the server sent is not something that can be read."""
