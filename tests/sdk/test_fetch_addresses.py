from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.tools.web.addresses import parse_networks, why_refused, within

NAT64 = ipaddress.ip_network("64:ff9b::/96")

# The IANA special-purpose registries, and the ranges that carry an IPv4 address inside an IPv6 one.
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "::/128", "::1/128", "::/96", "::ffff:0:0/96"),
    *("::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28"),
    *("2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
]
METADATA = ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"]


def in_special_range() -> st.SearchStrategy[str]:
    ranges = st.sampled_from(SPECIAL).map(ipaddress.ip_network)
    return ranges.flatmap(lambda network: st.ip_addresses(network=network)).map(str)


@given(in_special_range())
def test_no_address_of_a_special_range_is_called(address: str) -> None:
    assert why_refused(address) is not None


@given(st.sampled_from(SPECIAL).map(ipaddress.ip_network), st.booleans())
def test_first_and_last_address_of_a_special_range_are_refused(network: ipaddress.IPv4Network, first: bool) -> None:
    assert why_refused(network[0] if first else network[-1]) is not None


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6) | in_special_range().map(ipaddress.ip_address))
def test_what_is_called_is_global_to_the_standard_library_too(address: IPv4Address | IPv6Address) -> None:
    if why_refused(address) is None and address not in NAT64:
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_ipv4_differs_from_the_standard_library_only_where_that_is_too_kind(address: IPv4Address) -> None:
    known = ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")
    too_kind = address.is_multicast or within(address, parse_networks(known))
    assert (why_refused(address) is None) == (address.is_global and not too_kind)


@given(st.ip_addresses(v=4))
def test_nat64_counts_as_the_address_it_stands_for(inner: IPv4Address) -> None:
    outer = IPv6Address(int(NAT64[0]) | int(inner))
    assert (why_refused(outer) is None) == (why_refused(inner) is None)


@given(st.ip_addresses(v=4))
def test_other_ipv6_forms_of_ipv4_are_never_called(inner: IPv4Address) -> None:
    number = int(inner)
    for prefix, shift in (("::", 0), ("::ffff:0:0", 0), ("::ffff:0:0:0", 0), ("2002::", 80), ("2001::", 0)):
        assert why_refused(IPv6Address(int(IPv6Address(prefix)) | number << shift)) is not None


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("allow_private", [False, True])
def test_metadata_services_are_never_called(address: str, allow_private: bool) -> None:
    assert "metadata" in (why_refused(address, allow_private=allow_private) or "")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd12::1", "100.64.0.1"])
def test_own_networks_open_on_demand(address: str) -> None:
    assert why_refused(address)
    assert why_refused(address, allow_private=True) is None


@pytest.mark.parametrize(
    "address",
    ["169.254.1.1", "fe80::1", "224.0.0.1", "0.0.0.0", "::", "2002:7f00:1::", "::ffff:127.0.0.1"],  # noqa: S104
)
def test_others_stay_shut(address: str) -> None:
    assert why_refused(address, allow_private=True)


@pytest.mark.parametrize(
    "address", ["fe80::1%eth0", "2606:4700::1111%1", "localhost", "", "1.2.3", "0x7f.1", "010.0.0.1"]
)
def test_what_is_not_a_plain_address_is_refused(address: str) -> None:
    assert why_refused(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_called(address: str) -> None:
    assert why_refused(address) is None
