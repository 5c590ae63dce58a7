"""Which network addresses a page may come from.

`ipaddress.is_global` alone is no guard: depending on the patch release it calls 6to4, IPv4-compatible and mapped
addresses global, and it knows no cloud's metadata service. So the rule is stated here, by the IANA special-purpose
registries: IPv4 outside every special block, and IPv6 only inside the one block from which global unicast addresses
are given out, less its special parts.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


_METADATA = _networks(
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
)  # fmt: skip
"""Where clouds hand out credentials: AWS, GCP and others; AWS containers; Azure; Alibaba; Oracle."""

_INSIDE: dict[str, tuple[Network, ...]] = {
    "a loopback address": _networks("127.0.0.0/8", "::1"),
    "a private address": _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
    "a shared address of a carrier's network": _networks("100.64.0.0/10"),
}
"""Networks of one's own, which `allow_private` opens."""

_SPECIAL: dict[str, tuple[Network, ...]] = {
    "an unspecified address": _networks("0.0.0.0/8", "::"),
    "a link-local address": _networks("169.254.0.0/16", "fe80::/10"),
    "a multicast address": _networks("224.0.0.0/4", "ff00::/8"),
    "an address for documentation": _networks(
        "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"
    ),
    "a benchmarking address": _networks("198.18.0.0/15"),
    "a 6to4 address": _networks("192.88.99.0/24", "2002::/16"),
    "a Teredo address": _networks("2001::/32"),
    "an IPv4 address in IPv6 form": _networks("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96"),
    "a reserved address": _networks("192.0.0.0/24", "240.0.0.0/4", "2001::/23"),
}
"""Never a web server, also not in one's own network. Old tunnels are here because they carry IPv4 past the rules."""

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")


def parse_networks(entries: Sequence[str]) -> tuple[Network, ...]:
    """The entries that are addresses or networks; those that are names are left out."""
    networks = []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
        except ValueError:
            continue
    return tuple(networks)


def within(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address lies in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def why_refused(address: Address | str, *, allow_private: bool = False) -> str | None:
    """What keeps an address from being called, as in "a loopback address"; None for an ordinary public one.

    Args:
        address: the address; a text that is none is refused as well.
        allow_private: lets loopback, private and carrier networks through. Metadata services, link-local, multicast
            and reserved addresses stay refused.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "not an address"
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            return "an address of one network interface"
        if parsed in _NAT64:
            # Networks with IPv6 only reach all of IPv4 through this prefix, so it counts as what it stands for.
            inner = IPv4Address(int(parsed) & 0xFFFFFFFF)
            reason = why_refused(inner)
            return f"a NAT64 form of {inner}, {reason}" if reason else None
    if within(parsed, _METADATA):
        return "the address of a cloud's metadata service"
    for reason, networks in _INSIDE.items():
        if within(parsed, networks):
            return None if allow_private else reason
    for reason, networks in _SPECIAL.items():
        if within(parsed, networks):
            return reason
    return _not_global(parsed)


def _not_global(address: Address) -> str | None:
    """Catches what later registries of the standard library know and the tables above do not."""
    outside = isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST
    return "not a global address" if outside or not address.is_global else None
