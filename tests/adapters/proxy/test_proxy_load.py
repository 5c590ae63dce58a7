"""The proxy as a process under load: many streams at once, callers that leave or dawdle, parties that die."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx
from aiohttp import web
from proxy_server import proxy_process, said, until, verdict

from reagent_sdk.testing import ChatServer, Fault, Reply

STREAMS = 256
WORDS = " and so it goes" * 20


def echo(body: dict[str, Any]) -> Reply:
    """Drafts and revises an answer that only this question has."""
    (name,) = set(re.findall(r"question-(\d+)", str(body["messages"][0]["content"])))
    revised = "A reviewer read your work" in str(body["messages"][-1]["content"])
    return Reply(f"{'REVISED' if revised else 'DRAFT'}-{name}{WORDS}", usage=(10, 5), delay=0.05)


def scoring(body: dict[str, Any]) -> Reply:
    return Reply(verdict(0.9, "Fine.") if "REVISED-" in json.dumps(body) else verdict(0.1, "Think again."))


def odd_ones_wait(answer: Callable[[dict[str, Any]], Reply]) -> Callable[[dict[str, Any]], Reply]:
    """The same answers, but for questions of odd numbers, which get theirs too late."""

    def waiting(body: dict[str, Any]) -> Reply:
        odd = int(re.findall(r"question-(\d+)", json.dumps(body))[0]) % 2
        return replace(answer(body), delay=100) if odd else answer(body)

    return waiting


def body_of(number: int, **fields: Any) -> dict[str, Any]:
    question = {"role": "user", "content": f"question-{number}"}
    return {"model": "m", "messages": [question], "stream": True, **fields}


async def streamed(session: aiohttp.ClientSession, url: str, number: int, **fields: Any) -> tuple[int, str]:
    async with session.post(f"{url}/chat/completions", json=body_of(number, **fields)) as reply:
        return reply.status, await reply.text()


async def many(url: str, count: int, **fields: Any) -> list[Any]:
    pool = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=pool, timeout=aiohttp.ClientTimeout(total=120)) as session:
        calls = [streamed(session, url, number, **fields) for number in range(count)]
        return await asyncio.gather(*calls, return_exceptions=True)


def test_256_streams_at_once_are_all_correct() -> None:
    with (
        ChatServer(echo) as upstream,
        ChatServer(scoring, model="judge") as judge,
        proxy_process("--upstream", upstream.base_url, "--judge", judge.base_url) as proxy,
    ):
        for mode, count in (("final_only", STREAMS), ("drafts", STREAMS // 4)):
            replies = asyncio.run(many(proxy.url, count, reagent={"stream": mode}))
            for number, (status, text) in enumerate(replies):
                assert status == 200
                assert said(text) == f"REVISED-{number}{WORDS}"
                others = set(re.findall(r"(?:REVISED|DRAFT)-(\d+)", text))
                assert others == {str(number)}
                assert ("DRAFT-" in text) is (mode == "drafts")
        assert proxy.counted("runs_total", "answered", "rounds") == STREAMS + STREAMS // 4
        until(lambda: proxy.counted("in_flight") == 0)
        assert len(upstream.requests) == 2 * (STREAMS + STREAMS // 4)


def test_callers_who_leave_end_the_work_on_their_requests() -> None:
    def slow(body: dict[str, Any]) -> Reply | Fault:
        return Fault.hang()

    async def leave(url: str) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            calls = [asyncio.ensure_future(streamed(session, url, number)) for number in range(40)]
            await asyncio.to_thread(until, lambda: len(waiting.requests) == 40)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)

    for party in ("upstream", "judge"):
        with ChatServer(slow) as waiting, ChatServer(echo) as quick:
            parties = (waiting, quick) if party == "upstream" else (quick, waiting)
            words = ["--upstream", parties[0].base_url, "--judge", parties[1].base_url]
            with proxy_process(*words) as proxy:
                asyncio.run(leave(proxy.url))
                until(lambda waiting=waiting: waiting.disconnects == 40)
                until(lambda proxy=proxy: proxy.counted("in_flight") == 0)
                assert proxy.counted("requests_total", "/v1/chat/completions", "499") == 40


def test_a_caller_who_leaves_in_the_middle_of_a_draft() -> None:
    with (
        ChatServer([Reply("word " * 2_000, pause=0.05)]) as upstream,
        ChatServer(scoring) as judge,
        proxy_process("--upstream", upstream.base_url, "--judge", judge.base_url) as proxy,
    ):
        for fields in ({"reagent": {"stream": "drafts"}}, {"reagent": {"mode": "bare"}}):
            before = upstream.disconnects
            url = f"{proxy.url}/chat/completions"
            with proxy.http.stream("POST", url, json=body_of(1, **fields)) as reply:
                next(reply.iter_lines())
            until(lambda before=before: upstream.disconnects == before + 1)


@contextmanager
def endless() -> Iterator[tuple[str, list[int]]]:
    """An upstream that streams 400 MB as fast as it is read, and how many bytes of them it has got rid of."""
    sent, ready, done = [0], threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def chat(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        delta = {"index": 0, "delta": {"content": "x" * 4_000}, "finish_reason": None}
        event = b"data: " + json.dumps({"choices": [delta]}).encode() + b"\n\n"
        for _ in range(100_000):
            await response.write(event)
            sent[0] += len(event)
        return response

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": []})

    async def main() -> None:
        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.update(port=runner.addresses[0][1], loop=asyncio.get_running_loop())
        ready.set()
        await done.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://127.0.0.1:{found['port']}/v1", sent
    finally:
        found["loop"].call_soon_threadsafe(done.set)
        thread.join(30)


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_a_reader_who_stops_reading_holds_up_the_upstream_and_not_the_memory() -> None:
    with (
        endless() as (url, sent),
        proxy_process("--upstream", url, "--judge", "http://127.0.0.1:9/v1") as proxy,
    ):
        before = memory(proxy.told["pid"])
        request = json.dumps(body_of(1, reagent={"mode": "bare"})).encode()
        port = int(proxy.root.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as caller:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(request)}\r\n"
            caller.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + request)
            caller.recv(100)
            last = [-1]

            def stuck() -> bool:
                """Whether nothing more has left the upstream since the last look."""
                same, last[0] = last[0] == sent[0] > 0, sent[0]
                threading.Event().wait(0.3)
                return same

            until(stuck)
            assert sent[0] < 40 * 2**20
            assert memory(proxy.told["pid"]) - before < 40 * 2**20
            got = 0
            while got < 60 * 2**20:  # and goes on when it is read again
                got += len(caller.recv(2**20))
        until(lambda: proxy.counted("in_flight") == 0)


def test_a_slow_reader_gets_all_of_a_long_answer() -> None:
    text = "".join(f"line {number}\n" for number in range(60_000))
    with (
        ChatServer([Reply(text)]) as upstream,
        ChatServer(["nothing"]) as judge,
        proxy_process("--upstream", upstream.base_url, "--judge", judge.base_url) as proxy,
    ):
        url = f"{proxy.url}/chat/completions"
        got = bytearray()
        with proxy.http.stream("POST", url, json=body_of(1)) as reply:
            for number, piece in enumerate(reply.iter_raw(16_384)):
                got += piece
                if number < 50:
                    threading.Event().wait(0.01)
    assert said(got.decode()) == text


def test_the_upstream_is_killed_under_load_and_comes_back() -> None:
    with ChatServer(scoring) as judge, ChatServer(odd_ones_wait(echo)) as upstream:
        port = int(upstream.base_url.split(":")[2].split("/")[0])
        with proxy_process("--upstream", upstream.base_url, "--judge", judge.base_url) as proxy:
            replies: list[Any] = []
            load = threading.Thread(target=lambda: replies.extend(asyncio.run(many(proxy.url, 128))))
            load.start()
            until(lambda: len(upstream.requests) > 100)
            upstream.__exit__(None, None, None)
            load.join(120)
            assert len(replies) == 128
            for number, (status, text) in enumerate(replies):
                if status == 200:  # the draft was made: it is kept, or the revision was
                    assert said(text) in (f"DRAFT-{number}{WORDS}", f"REVISED-{number}{WORDS}")
                else:
                    assert status in (502, 503), text
                    assert "error" in json.loads(text)
            assert all(status != 200 for status, _ in replies[1::2])
            until(lambda: proxy.http.get(f"{proxy.root}/ready").status_code == 503)
            with ChatServer(echo, port=port):
                until(lambda: proxy.http.get(f"{proxy.root}/ready").status_code == 200)
                ((status, text),) = asyncio.run(many(proxy.url, 1))
            assert (status, said(text)) == (200, f"REVISED-0{WORDS}")


def test_the_judge_is_killed_under_load_and_all_answers_still_come() -> None:
    with ChatServer(echo) as upstream, ChatServer(odd_ones_wait(scoring)) as judge:
        port = int(judge.base_url.split(":")[2].split("/")[0])
        with proxy_process("--upstream", upstream.base_url, "--judge", judge.base_url) as proxy:
            replies: list[Any] = []
            load = threading.Thread(target=lambda: replies.extend(asyncio.run(many(proxy.url, 128))))
            load.start()
            until(lambda: len(judge.requests) > 100)
            judge.__exit__(None, None, None)
            load.join(120)
            assert [status for status, _ in replies] == [200] * 128
            for number, (_, text) in enumerate(replies):
                assert said(text) in (f"DRAFT-{number}{WORDS}", f"REVISED-{number}{WORDS}")
            assert all('"status":"unjudged"' in text for _, text in replies[1::2])
            body = {**body_of(7), "stream": False}
            reply = proxy.http.post(f"{proxy.url}/chat/completions", json=body)
            assert reply.headers["x-reagent-status"] == "unjudged"
            until(lambda: proxy.http.get(f"{proxy.root}/ready").json()["judge"] == "down")
            assert proxy.http.get(f"{proxy.root}/ready").status_code == 200
            assert proxy.counted("judge_up") == 0
            with ChatServer(scoring, port=port):

                def judged() -> bool:
                    reply = httpx.post(f"{proxy.url}/chat/completions", json=body, timeout=60)
                    return bool(reply.headers["x-reagent-status"] == "answered")

                until(judged)
