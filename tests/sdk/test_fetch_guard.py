from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from reagent_benchmarks.hostile_web import FakeDns, redirect, reply, serving

from reagent_sdk.tools.web.connect import Guard
from reagent_sdk.tools.web.dns import SystemResolver
from reagent_sdk.tools.web.errors import AddressRefused, FetchTimeout, TooManyRedirects, Unreachable, UrlRefused
from reagent_sdk.tools.web.fetch import Fetcher, safe_fetch
from reagent_sdk.tools.web.settings import FetchSettings

pytestmark = pytest.mark.anyio

ANY_PORT = FetchSettings(ports=None, total_seconds=5, connect_seconds=1)
HERE = FetchSettings(ports=None, allow_hosts=("127.0.0.1",), total_seconds=5, connect_seconds=1)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Every address that a socket of this test is asked to connect to. Nothing leaves this machine."""
    seen: list[tuple[Any, ...]] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: tuple[Any, ...]) -> None:
        seen.append(address)
        if not str(address[0]).startswith("127."):
            raise ConnectionRefusedError(111, "refused by the test")
        real(self, address)

    monkeypatch.setattr("reagent_sdk.tools.web.connect.MeteredSocket.connect", connect, raising=False)
    return seen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.9.9.9", "①②⑦.⓪.⓪.①", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_not_called(host: str, connected: list[Any]) -> None:
    async with serving({"/": reply("secret")}) as site:
        with pytest.raises(AddressRefused):
            await safe_fetch(site.url(host=host), ANY_PORT)
    assert not site.heads
    assert not connected


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
        *("100.64.0.1", "0.0.0.0", "2002:7f00:1::", "fe80::1%eth0"),  # noqa: S104
    ],
)
async def test_a_public_name_of_a_private_address_is_refused(address: str, connected: list[Any]) -> None:
    dns = FakeDns(evil_example=[[address]])
    with pytest.raises(AddressRefused, match=r"evil\.example leads to"):
        await Fetcher(resolver=dns).get("http://evil.example/")
    assert not connected


@pytest.mark.parametrize("answers", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1", "::1"]])
async def test_one_private_answer_among_public_ones_refuses_the_name(answers: list[str], connected: list[Any]) -> None:
    with pytest.raises(AddressRefused):
        await Fetcher(resolver=FakeDns(evil_example=[answers])).get("http://evil.example/")
    assert not connected


async def test_rebinding_after_the_check_changes_nothing(connected: list[Any]) -> None:
    """The first answer is public, every later one this machine: the connection goes to the first."""
    dns = FakeDns(evil_example=[["8.8.8.8"], ["127.0.0.1"]])
    async with serving({"/": reply("secret")}) as site:
        with pytest.raises(Unreachable):
            await Fetcher(ANY_PORT, resolver=dns).get(site.url(host="evil.example"))
    assert dns.asked == ["evil.example"]
    assert [address[0] for address in connected] == ["8.8.8.8"]
    assert not site.heads


async def test_rebinding_between_redirects_is_caught(connected: list[Any]) -> None:
    dns = FakeDns(evil_example=[["127.0.0.2"], ["127.0.0.1"]])
    settings = HERE.model_copy(update={"allow_hosts": ("127.0.0.2",)})
    async with serving({"/": redirect("/again"), "/again": reply("secret")}, host="0.0.0.0") as site:  # noqa: S104
        with pytest.raises(AddressRefused, match=r"redirects to .* leads to 127\.0\.0\.1"):
            await Fetcher(settings, resolver=dns).get(site.url(host="evil.example"))
    assert [address[0] for address in connected] == ["127.0.0.2"]


async def test_a_connection_is_not_reused_for_a_later_check(connected: list[Any]) -> None:
    dns = FakeDns(evil_example=[["127.0.0.2"], ["127.0.0.1"]])
    fetcher = Fetcher(HERE.model_copy(update={"allow_hosts": ("127.0.0.2",)}), resolver=dns)
    async with serving({"/": reply("fine")}, host="0.0.0.0") as site:  # noqa: S104
        assert (await fetcher.get(site.url(host="evil.example"))).text == "fine"
        with pytest.raises(AddressRefused):
            await fetcher.get(site.url(host="evil.example"))
    assert len(connected) == 1


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://127.0.0.2/", AddressRefused),
        ("http://169.254.169.254/latest/meta-data/", AddressRefused),
        ("http://[fd00:ec2::254]/", AddressRefused),
        ("//10.0.0.1/", AddressRefused),
        ("http://2130706433/", UrlRefused),
        ("file:///etc/passwd", UrlRefused),
        ("gopher://127.0.0.1:6379/_FLUSHALL", UrlRefused),
        ("http://user:secret@example.org/", UrlRefused),
        ("http://[", UrlRefused),
        ("http://\u00ff\u00fe/\x01", UrlRefused),
    ],
)
async def test_redirects_are_checked(location: str, error: type[Exception], connected: list[Any]) -> None:
    async with serving({"/": redirect(location)}) as site:
        with pytest.raises(error, match="redirects"):
            await safe_fetch(site.url(), HERE)
    assert len(connected) == 1


@pytest.mark.parametrize("hops", [5, 6])
async def test_redirects_end(hops: int) -> None:
    pages = {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(hops)} | {f"/{hops}": reply("here")}
    async with serving(pages) as site:
        if hops > HERE.max_redirects:
            with pytest.raises(TooManyRedirects):
                await safe_fetch(site.url("/0"), HERE)
            assert len(site.heads) == 6
            return
        fetched = await safe_fetch(site.url("/0"), HERE)
    assert fetched.text == "here"
    assert fetched.url == site.url("/5")
    assert fetched.redirects[0] == site.url("/0")
    assert fetched.notes == (f"redirected from {site.url('/0')}",)


async def test_nothing_of_ours_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    sets = reply(b"", status="302 Found", Location="/next", Set_Cookie="id=1; Path=/")
    async with serving({"/": sets, "/next": reply("here")}) as site:
        assert (await safe_fetch(site.url(), HERE)).text == "here"
    names = {line.partition(":")[0].lower() for head in site.heads for line in head.splitlines()[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}


async def test_allowed_hosts() -> None:
    dns = FakeDns(wiki_corp=[["127.0.0.1"]], other_corp=[["127.0.0.1"]], sly_corp=[["169.254.169.254"]])

    def fetcher(*hosts: str, **changes: object) -> Fetcher:
        return Fetcher(HERE.model_copy(update={"allow_hosts": hosts, **changes}), resolver=dns)

    async with serving({"/": reply("in the house")}) as site:
        for allowed in ("wiki.corp", "WIKI.corp.", "127.0.0.0/8"):
            assert (await fetcher(allowed).get(site.url(host="wiki.corp"))).ok
        assert (await fetcher(allow_private=True).get(site.url(host="other.corp"))).ok
        for refused in ("wiki.corp", "10.0.0.0/8", "*"):
            with pytest.raises(AddressRefused):
                await fetcher(refused).get(site.url(host="other.corp"))
        with pytest.raises(AddressRefused, match="metadata"):
            await fetcher("sly.corp", allow_private=True).get("http://sly.corp/")
        with pytest.raises(AddressRefused, match="denied"):
            await fetcher("wiki.corp", deny_networks=("127.0.0.0/8",)).get(site.url(host="wiki.corp"))


async def test_a_resolver_that_answers_with_a_name_is_refused() -> None:
    with pytest.raises(AddressRefused, match="not an address"):
        await Fetcher(resolver=FakeDns(evil_example=[["localhost"]])).get("http://evil.example/")


async def test_no_such_host() -> None:
    with pytest.raises(Unreachable, match="no such host"):
        await Fetcher(resolver=FakeDns()).get("http://missing.example/")


async def test_every_socket_is_judged_by_its_own_address() -> None:
    guard = Guard("evil.example", FetchSettings(), FakeDns())
    with pytest.raises(AddressRefused):
        guard.make_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))
    guard.make_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 80))).close()


async def test_a_name_that_is_never_resolved_ends_in_time() -> None:
    class Hanging(FakeDns):
        async def resolve(self, *args: Any) -> Any:
            await asyncio.Event().wait()

    with pytest.raises(FetchTimeout, match="no connection in time"):
        await Fetcher(FetchSettings(connect_seconds=0.1), resolver=Hanging()).get("http://slow.example/")


async def test_the_system_resolver() -> None:
    answers = await SystemResolver().resolve("localhost", 80, socket.AF_INET)
    assert {(answer["host"], answer["port"], answer["hostname"]) for answer in answers} == {
        ("127.0.0.1", 80, "localhost")
    }
    async with serving({"/": reply("here")}) as site:
        assert (await safe_fetch(site.url(host="localhost"), ANY_PORT.model_copy(update={"allow_private": True}))).ok
