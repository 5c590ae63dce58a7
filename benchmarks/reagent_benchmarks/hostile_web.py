"""Servers that misbehave on purpose, on this machine, below the level at which an HTTP library would be polite."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

Answer: TypeAlias = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]

MIB = 2**20


@dataclass
class Site:
    """A running server.

    Attributes:
        port: where it listens.
        heads: the head of every request that arrived.
    """

    port: int
    heads: list[str] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        """An address of the site."""
        return f"http://{host}:{self.port}{path}"


def reply(body: bytes | str, kind: str = "text/html; charset=utf-8", status: str = "200 OK", **headers: str) -> bytes:
    """A whole HTTP reply. Underscores in the names of headers stand for dashes."""
    data = body.encode() if isinstance(body, str) else body
    fields = {"Content-Type": kind, "Content-Length": str(len(data)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def redirect(location: str, status: str = "302 Found") -> bytes:
    """A redirect."""
    return reply(b"", status=status, Location=location)


def streamed(chunks: Callable[[], Iterator[bytes]], head: str = "", *, pause: float = 0.0) -> Answer:
    """A reply without a length whose body is written piece by piece, with a pause after each."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n{head}\r\n".encode())
        for chunk in chunks():
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


def raw(chunks: Callable[[], Iterator[bytes]]) -> Answer:
    """Bytes as they are, from the status line on."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        for chunk in chunks():
            writer.write(chunk)
            await writer.drain()

    return answer


def gzip_bomb(total: int = 1024 * MIB, *, filler: bytes = b"\0") -> Iterator[bytes]:
    """A gzip file of one thing over and over, made as it is sent: hardly a thousandth of its size on the wire."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    piece = filler * (MIB // len(filler))
    for _ in range(total // MIB):
        yield packer.compress(piece)
    yield packer.flush()


def empty_members() -> Iterator[bytes]:
    """Empty gzip files in a row, without end."""
    member = gzip.compress(b"") * 1000
    while True:
        yield member


@asynccontextmanager
async def serving(pages: Mapping[str, Answer], *, host: str = "127.0.0.1") -> AsyncIterator[Site]:
    """Serves raw answers by path; "*" answers all other paths."""
    site = Site(0)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            site.heads.append(head)
            answer = pages.get(head.split(" ")[1], pages.get("*", reply("no such page", status="404 Not Found")))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        writer.close()
        tasks.discard(task)

    server = await asyncio.start_server(handle, host, 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(set(tasks))


class FakeDns(AbstractResolver):
    """A DNS server with prepared answers: each name has a list of answers in turn, of which the last repeats.

    Attributes:
        asked: the names that were looked up.
    """

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): rounds for name, rounds in answers.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The next answer for a name."""
        name = host.rstrip(".")
        if name not in self._answers:
            raise OSError(None, f"no such host: {name}")
        rounds = self._answers[name]
        addresses = rounds[min(self.asked.count(name), len(rounds) - 1)]
        self.asked.append(name)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""
