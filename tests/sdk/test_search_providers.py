"""The providers against a real HTTP server, and ddgs against a machine without a network."""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable
from typing import Any

import pytest
from search_server import Page, SearchServer

from reagent_sdk import InvalidInput
from reagent_sdk.tools.search.providers import (
    Brave,
    DuckDuckGo,
    Pace,
    ProviderDown,
    ProviderMisconfigured,
    RateLimited,
    SearchFailed,
    SearchProvider,
    SearXNG,
    Serper,
    Tavily,
    default_providers,
)
from reagent_sdk.tools.search.providers.http import HttpProvider

KEY = "tvly-0123456789-secret"

Make = Callable[[str], HttpProvider]
MAKE: dict[str, Make] = {
    "serper": lambda url: Serper(KEY, base_url=url, timeout=60, pace=fast()),
    "tavily": lambda url: Tavily(KEY, base_url=url, timeout=60, pace=fast()),
    "brave": lambda url: Brave(KEY, base_url=url, timeout=60, pace=fast()),
    "searxng": lambda url: SearXNG(url, timeout=60, pace=fast()),
}
REPLIES: dict[str, Any] = {
    "serper": {"organic": [{"title": "T", "link": "https://e.org/1", "snippet": "S"}, {"title": "no link"}]},
    "tavily": {"results": [{"title": "T", "url": "https://e.org/1", "content": "S"}, "junk"]},
    "brave": {"web": {"results": [{"title": "<strong>T</strong>", "url": "https://e.org/1", "description": "S"}]}},
    "searxng": {"results": [{"title": "T", "url": "https://e.org/1", "content": "S"}, {"url": 7}]},
}
every = pytest.mark.parametrize("name", MAKE)
with_key = pytest.mark.parametrize("name", ["serper", "tavily", "brave"])


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def fast() -> Pace:
    return Pace(0.0, patience=0.0)


def ask(name: str, *pages: Page, query: str = "q", limit: int = 5) -> tuple[Any, SearchServer]:
    """The hits or the failure, and the server that was asked."""
    with SearchServer(*pages) as server:
        try:
            return asyncio.run(MAKE[name](server.url).search(query, limit)), server
        except SearchFailed as error:
            return error, server


@every
def test_hits_are_read_and_rows_that_are_none_are_left_out(name: str) -> None:
    hits, server = ask(name, Page(REPLIES[name]))
    assert [(hit.title, hit.url, hit.snippet, hit.provider) for hit in hits] == [("T", "https://e.org/1", "S", name)]
    assert len(server.requests) == 1


def test_requests_are_what_each_interface_wants() -> None:
    seen = {name: ask(name, Page(), query="fox & hen", limit=7)[1].requests[0] for name in MAKE}
    assert (seen["serper"].method, seen["serper"].path) == ("POST", "/search")
    assert seen["serper"].body == {"q": "fox & hen", "num": 7}
    assert seen["serper"].headers["x-api-key"] == KEY
    assert seen["tavily"].body == {"query": "fox & hen", "max_results": 7, "search_depth": "basic"}
    assert seen["tavily"].headers["authorization"] == f"Bearer {KEY}"
    assert (seen["brave"].method, seen["brave"].path) == ("GET", "/web/search")
    assert seen["brave"].query["q"] == "fox & hen"
    assert seen["brave"].query["count"] == "7"
    assert seen["brave"].headers["x-subscription-token"] == KEY
    assert seen["searxng"].query == {"q": "fox & hen", "format": "json"}


def test_no_more_hits_than_asked_for() -> None:
    rows = [{"title": "T", "url": f"https://e.org/{n}"} for n in range(9)]
    assert len(ask("searxng", Page({"results": rows}), limit=3)[0]) == 3


def test_a_long_query_is_cut_for_brave() -> None:
    _, server = ask("brave", Page(), query="word " * 200)
    assert len(server.requests[0].query["q"].split()) == 50


def test_serpers_direct_answer_comes_first() -> None:
    box = {"title": "Box", "link": "https://b.org", "answer": "42"}
    hits, _ = ask("serper", Page({"answerBox": box, **REPLIES["serper"]}))
    assert [(hit.title, hit.snippet) for hit in hits] == [("Box", "42"), ("T", "S")]


@every
@pytest.mark.parametrize(
    "body",
    [
        {"organic": 1, "results": "x", "web": [1]},
        {"organic": None, "results": {}, "web": {"results": None}},
        {"organic": [[]], "results": [None], "web": {"results": [3]}},
    ],
)
def test_fields_of_the_wrong_type_are_no_hits(name: str, body: Any) -> None:
    assert ask(name, Page(body))[0] == []


@every
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff\xfe", b"[" * 100_000], ids=range(5))
def test_a_reply_that_is_no_json_object_is_a_failure(name: str, body: bytes) -> None:
    failure, _ = ask(name, Page(body))
    assert isinstance(failure, ProviderDown)
    assert "not a JSON object" in failure.reason


def test_an_endless_reply_is_dropped() -> None:
    failure, _ = ask("tavily", Page(b'{"results": "' + b"x" * 5_000_000))
    assert "longer than 4 MiB" in failure.reason


@every
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderMisconfigured),
        (401, ProviderMisconfigured),
        (403, ProviderMisconfigured),
        (302, ProviderMisconfigured),
        (408, ProviderDown),
        (429, RateLimited),
        (500, ProviderDown),
        (503, ProviderDown),
    ],
)
def test_refusals_by_status(name: str, status: int, kind: type[SearchFailed]) -> None:
    failure, server = ask(name, Page({"message": "because"}, status=status, headers={"Location": "/elsewhere"}))
    assert type(failure) is kind
    assert len(server.requests) == 1  # a redirect is not followed


@with_key
@pytest.mark.parametrize("status", [200, 401, 429, 500])
def test_a_server_that_echoes_the_key_does_not_get_it_into_messages(name: str, status: int) -> None:
    failure, _ = ask(name, Page(f"your key {KEY} and {KEY}".encode(), status=status))
    assert KEY not in str(failure)
    assert KEY not in repr(failure)
    assert failure.__cause__ is None


@with_key
def test_keys_are_in_no_repr_and_no_pickle(name: str) -> None:
    provider = MAKE[name]("http://127.0.0.1:9")
    assert KEY not in repr(provider)
    assert KEY not in repr(vars(provider))
    with pytest.raises(TypeError):
        pickle.dumps(provider)


def test_a_password_in_the_address_is_sent_and_not_shown() -> None:
    with SearchServer(Page(status=500)) as server:
        provider = SearXNG(server.url.replace("://", "://me:hunter2@"))
        with pytest.raises(ProviderDown) as failure:
            asyncio.run(provider.search("q", 1))
    assert server.requests[0].headers["authorization"].startswith("Basic ")
    assert "hunter2" not in repr(provider) + str(failure.value)


def test_special_refusals_say_what_to_do() -> None:
    assert "settings.yml" in ask("searxng", Page(status=403))[0].reason
    assert "credit" in ask("tavily", Page(status=432))[0].reason
    refused = Page({"error": {"code": "SUBSCRIPTION_TOKEN_INVALID"}}, status=422)
    assert "BRAVE_API_KEY" in ask("brave", refused)[0].reason
    assert "SERPER_API_KEY" in ask("serper", Page({"message": "Unauthorized."}, status=403))[0].reason
    nothing = Page({"results": [], "unresponsive_engines": [["google", "timeout"]]})
    assert "none of its engines" in ask("searxng", nothing)[0].reason


@every
def test_nobody_listens(name: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        provider = MAKE[name](f"http://127.0.0.1:{held.getsockname()[1]}")
        with pytest.raises(ProviderDown, match="connection failed"):
            asyncio.run(provider.search("q", 1))


def test_a_server_that_hangs_is_left_alone_for_a_while() -> None:
    with SearchServer(Page(hang=True)) as server:
        provider = Tavily(KEY, base_url=server.url, timeout=0.1, pace=fast())

        async def twice() -> None:
            with pytest.raises(ProviderDown, match="no answer in time"):
                await provider.search("q", 1)
            with pytest.raises(RateLimited, match="no answer in time; not asked again"):
                await provider.search("q", 1)

        asyncio.run(twice())
    assert len(server.requests) == 1


def test_one_provider_serves_several_loops() -> None:
    with SearchServer(Page(REPLIES["tavily"])) as server:
        provider = MAKE["tavily"](server.url)
        assert len(asyncio.run(provider.search("a", 1))) == 1
        assert len(asyncio.run(provider.search("b", 1))) == 1


def test_retry_after_is_waited_for_when_short_and_refused_when_long() -> None:
    clock = Clock()
    limited = Page({"message": "slow down"}, status=429, headers={"Retry-After": "4"})
    long = Page({"message": "slow down"}, status=429, headers={"Retry-After": "120"})
    with SearchServer(limited, Page(REPLIES["serper"]), long) as server:
        pace = Pace(patience=5, clock=clock, sleep=clock.sleep)
        provider = Serper(KEY, base_url=server.url, pace=pace)

        async def run() -> None:
            with pytest.raises(RateLimited, match=r"rate limited \(429: slow down\)") as first:
                await provider.search("q", 5)
            assert first.value.retry_after == 4
            assert len(await provider.search("q", 5)) == 1
            assert clock.slept == [4]
            for _ in range(2):
                with pytest.raises(RateLimited) as last:
                    await provider.search("q", 5)
            assert last.value.retry_after == 120

        asyncio.run(run())
    assert len(server.requests) == 3  # the last search sent nothing


def test_braves_own_headers_tell_how_long_to_wait() -> None:
    headers = {"X-RateLimit-Remaining": "0, 100", "X-RateLimit-Reset": "2, 90000"}
    assert ask("brave", Page(status=429, headers=headers))[0].retry_after == 2
    headers = {"X-RateLimit-Remaining": "0, 0", "X-RateLimit-Reset": "1, x"}
    assert ask("brave", Page(status=429, headers=headers))[0].retry_after == 1
    assert ask("brave", Page(status=429))[0].retry_after == 10


@pytest.mark.anyio
async def test_requests_are_spaced_also_when_they_come_at_once() -> None:
    clock = Clock()
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(2.0, patience=5, clock=clock, sleep=note)
    turns = await asyncio.gather(*(pace.turn() for _ in range(5)), return_exceptions=True)
    assert waits == [2, 4]  # the first goes at once, and the fourth would wait longer than anybody is patient
    assert [type(turn) for turn in turns] == [type(None)] * 3 + [RateLimited] * 2
    clock.now += 100
    pace.hold(RateLimited("told to wait", retry_after=50))
    with pytest.raises(RateLimited, match="told to wait"):
        await pace.turn()
    clock.now += 100
    await pace.turn()
    assert waits == [2, 4]


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://[", "http://h:0", "http://h:99999", "http://h/?q=1"])
def test_addresses_that_cannot_work_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="searxng"):
        SearXNG(url)


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "schlüssel"])
def test_keys_that_cannot_be_sent_are_refused(key: str) -> None:
    with pytest.raises(InvalidInput, match="SERPER_API_KEY"):
        Serper(key)


def test_the_environment_names_the_providers() -> None:
    assert [one.name for one in default_providers({})] == ["duckduckgo"]
    everything = {
        "TAVILY_API_KEY": "t",
        "SERPER_API_KEY": "s",
        "BRAVE_API_KEY": "b",
        "SEARXNG_URL": "http://127.0.0.1:8080",
    }
    providers = default_providers(everything)
    assert [one.name for one in providers] == ["serper", "tavily", "brave", "searxng", "duckduckgo"]
    assert all(isinstance(one, SearchProvider) for one in providers)


@pytest.mark.anyio
async def test_a_bad_setting_takes_out_one_provider_only() -> None:
    providers = default_providers({"SEARXNG_URL": "localhost:8080", "BRAVE_API_KEY": "b"})
    assert [one.name for one in providers] == ["brave", "searxng", "duckduckgo"]
    with pytest.raises(ProviderMisconfigured, match="SEARXNG_URL"):
        await providers[1].search("q", 1)


@pytest.mark.anyio
async def test_ddgs_without_a_network_fails_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDGS_PROXY", "http://127.0.0.1:9")  # offline also where there is a network
    with pytest.raises(ProviderDown, match="no engine answered") as failure:
        await DuckDuckGo(timeout=2).search("anything", 3)
    assert len(failure.value.reason) < 200


@pytest.mark.anyio
async def test_what_ddgs_raises_and_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    async def search(outcome: Any) -> Any:
        def text(self: object, query: str, **_: Any) -> Any:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(DDGS, "text", text)
        return await DuckDuckGo(pace=fast()).search("q", 3)

    assert await search(DDGSException("No results found.")) == []
    rows = [{"title": "T", "href": "https://e.org", "body": "S"}, {"title": "no address"}]
    assert [hit.url for hit in await search(rows)] == ["https://e.org"]
    with pytest.raises(RateLimited) as limited:
        await search(RatelimitException("202"))
    assert limited.value.retry_after == 30
    with pytest.raises(ProviderDown, match="no answer in time"):
        await search(TimeoutException("timed out"))


@pytest.mark.anyio
async def test_ddgs_that_is_not_installed_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ddgs", None)
    with pytest.raises(ProviderMisconfigured, match="pip install"):
        await DuckDuckGo().search("q", 1)
