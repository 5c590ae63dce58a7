"""What a fetch may do, and what came of it."""

from __future__ import annotations

from pydantic import Field, field_validator

from reagent_sdk.frozen import Frozen, Settings
from reagent_sdk.tools.web.addresses import parse_networks

TEXT_TYPES = ("text/*", "application/xhtml+xml", "application/xml", "application/json", "*+xml", "*+json")
DOCUMENT_TYPES = (
    "application/pdf",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.*",
    "application/epub+zip",
)


class FetchSettings(Settings):
    """Limits of a fetch. The defaults are safe for URLs that a model or a web page made up."""

    allow_private: bool = Field(False, description="also call loopback, private and carrier networks, but never others")
    allow_hosts: tuple[str, ...] = Field(
        (),
        description="what may be private all the same: host names as they stand in URLs (xn--... if international), "
        "addresses, networks",
    )
    deny_networks: tuple[str, ...] = Field(
        (), description="networks that are never called: public addresses of your own, a NAT64 prefix of your own"
    )
    # The ports of HTTP and its registered and customary alternatives. A wider range would let a page have us speak to
    # mail, database and cache servers of third parties.
    ports: tuple[int, ...] | None = Field(
        (80, 443, 8000, 8008, 8080, 8081, 8443, 8888), description="ports that are called; None for all"
    )
    max_redirects: int = Field(5, ge=0)
    max_bytes: int = Field(10 * 2**20, ge=1, description="longest body, on the wire as well as unpacked")
    total_seconds: float = Field(30.0, gt=0, description="for everything, redirects included")
    connect_seconds: float = Field(10.0, gt=0)
    read_seconds: float = Field(10.0, gt=0, description="longest silence of the server")
    media_types: tuple[str, ...] = Field(
        TEXT_TYPES + DOCUMENT_TYPES, description="content types that are read, as patterns"
    )
    user_agent: str = "Mozilla/5.0 (compatible; reagent-sdk)"

    @field_validator("deny_networks")
    @classmethod
    def _are_networks(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        if len(parse_networks(entries)) != len(entries):
            raise ValueError("give addresses or networks, such as '198.51.100.0/24'")
        return entries


class Fetched(Frozen):
    """What a server answered in the end."""

    url: str = Field(description="where it came from, after all redirects")
    status: int
    media_type: str = Field(description="content type, in lower case and without parameters; guessed if not given")
    body: bytes = b""
    text: str | None = Field(None, description="the decoded body; None for documents that are not text")
    charset: str | None = Field(None, description="how the text was decoded")
    redirects: tuple[str, ...] = Field((), description="the URLs on the way, the first one as it was asked for")
    truncated: bool = Field(False, description="whether the body was cut off at the size limit")
    notes: tuple[str, ...] = Field((), description="what a reader should know: redirects, cuts, wrong charsets")

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300
