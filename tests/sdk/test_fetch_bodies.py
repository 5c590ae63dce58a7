from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from reagent_benchmarks.hostile_web import (
    MIB,
    Answer,
    empty_members,
    gzip_bomb,
    raw,
    redirect,
    reply,
    serving,
    streamed,
)

from reagent_sdk.tools.web.body import GZIP, Unpacker
from reagent_sdk.tools.web.errors import ContentRefused, FetchTimeout, TooManyRedirects, Unreachable
from reagent_sdk.tools.web.fetch import Fetched, safe_fetch
from reagent_sdk.tools.web.settings import FetchSettings

pytestmark = pytest.mark.anyio

HERE = FetchSettings(
    ports=None, allow_hosts=("127.0.0.1",), max_bytes=MIB, total_seconds=10, read_seconds=5, connect_seconds=2
)
PACKED = "Content-Encoding: gzip\r\n"


async def fetched(answer: Answer, **changes: object) -> Fetched:
    async with serving({"/": answer}) as site:
        return await safe_fetch(site.url(), HERE.model_copy(update=changes))


@pytest.fixture
def flat_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * MIB


def spaces_bomb() -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, GZIP)
    yield packer.compress(b" " * (64 * MIB)) + packer.flush()


@pytest.mark.usefixtures("flat_memory")
async def test_a_gigabyte_of_zeros_in_a_megabyte_of_gzip() -> None:
    with pytest.raises(ContentRefused, match="not text"):
        await fetched(streamed(gzip_bomb, PACKED))


@pytest.mark.usefixtures("flat_memory")
@pytest.mark.parametrize("kind", ["application/pdf", "text/html"])
async def test_a_bomb_is_cut_at_the_limit(kind: str) -> None:
    bomb = b"".join(spaces_bomb())
    assert len(bomb) < 100_000
    tracemalloc.reset_peak()
    got = await fetched(reply(bomb, kind, Content_Encoding="gzip"))
    assert got.truncated
    assert len(got.body) == MIB
    assert got.notes == (f"only the first {MIB} bytes were read",)


@pytest.mark.usefixtures("flat_memory")
@pytest.mark.parametrize("head", ["", "Transfer-Encoding: chunked\r\n"])
async def test_an_endless_body_is_cut(head: str) -> None:
    piece = b"x" * 65536
    chunk = b"10000\r\n" + piece + b"\r\n" if head else piece

    def endless() -> Iterator[bytes]:
        while True:
            yield chunk

    got = await fetched(streamed(endless, head))
    assert got.truncated
    assert got.text == "x" * MIB


async def test_a_slow_drip_ends_with_the_deadline() -> None:
    def drops() -> Iterator[bytes]:
        while True:
            yield b"x"

    with pytest.raises(FetchTimeout, match=r"not done after 0\.5 seconds"):
        await fetched(streamed(drops, pause=0.02), total_seconds=0.5)


async def test_silence_ends_sooner() -> None:
    with pytest.raises(FetchTimeout, match="no data in time"):
        await fetched(streamed(lambda: iter([b"x"]), pause=60), read_seconds=0.2)


async def test_the_deadline_spans_redirects() -> None:
    async with serving({"/": redirect("/slow"), "/slow": streamed(lambda: iter([b"x"] * 999), pause=0.02)}) as site:
        with pytest.raises(FetchTimeout, match="was not done"):
            await safe_fetch(site.url(), HERE.model_copy(update={"total_seconds": 0.3}))


async def test_a_redirect_loop_ends() -> None:
    with pytest.raises(TooManyRedirects):
        await fetched(redirect("/"))


def forever(piece: bytes, start: bytes = b"HTTP/1.1 200 OK\r\n") -> Answer:
    def pieces() -> Iterator[bytes]:
        yield start
        while True:
            yield piece

    return raw(pieces)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(forever(b"a" * 65536, b"HTTP/1.1 200 OK\r\nX: "), id="one endless header"),
        pytest.param(forever(b"a: b\r\n" * 1000), id="endless headers"),
        pytest.param(forever(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, b""), id="endless interim replies"),
        pytest.param(forever(b"a" * 65536, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"), id="chunk"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="not HTTP"),
        pytest.param(b"", id="closed at once"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", id="cut off"),
    ],
)
async def test_what_is_not_proper_http(answer: Answer) -> None:
    with pytest.raises((Unreachable, ContentRefused)):
        await fetched(answer)


async def test_interim_replies_do_not_fill_the_memory() -> None:
    tracemalloc.start()
    with pytest.raises(Unreachable, match="more than the limit"):
        await fetched(forever(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000, b""))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * MIB


async def test_rows_of_empty_gzip_files_are_refused() -> None:
    with pytest.raises(ContentRefused, match="16 gzip files"):
        await fetched(streamed(empty_members, PACKED))


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "x" * 500])
async def test_encodings_that_were_not_asked_for(encoding: str) -> None:
    with pytest.raises(ContentRefused, match="not asked for"):
        await fetched(reply(b"x", Content_Encoding=encoding))


async def test_a_broken_packed_body() -> None:
    with pytest.raises(ContentRefused, match="broken"):
        await fetched(reply(b"this is no gzip", Content_Encoding="gzip"))


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"hello there")),
        ("x-gzip", gzip.compress(b"hello ") + gzip.compress(b"there")),
        ("gzip", gzip.compress(b"hello there") + b"\0\0\0padding"),
        ("deflate", zlib.compress(b"hello there")),
        ("deflate", zlib.compress(b"hello there")[2:-4]),
        ("identity", b"hello there"),
    ],
    ids=["gzip", "two members", "padded", "zlib", "bare deflate", "identity"],  # gzip's own bytes tell the time
)
@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_honest_packed_bodies(encoding: str, packed: bytes, step: int) -> None:
    pieces = [packed[start : start + step] for start in range(0, len(packed), step)]
    got = await fetched(streamed(lambda: iter(pieces), f"Content-Encoding: {encoding}\r\n"))
    assert got.body == b"hello there"
    assert not got.truncated


async def test_a_packed_body_that_stops_early_is_kept_and_marked() -> None:
    packed = gzip.compress(b"hello there" * 1000)
    got = await fetched(reply(packed[: len(packed) // 2], Content_Encoding="gzip"))
    assert got.truncated
    assert got.text
    assert got.text.startswith("hello")


def test_the_unpacker_never_gives_more_than_asked() -> None:
    unpacker = Unpacker(GZIP)
    bomb = gzip.compress(bytes(MIB))
    assert len(unpacker.feed(bomb, 100)) == 100


@pytest.mark.parametrize("kind", ["image/png", "video/mp4", "application/zip", "application/octet-stream", "font/woff"])
async def test_types_that_are_not_read(kind: str) -> None:
    with pytest.raises(ContentRefused, match="not read"):
        await fetched(reply(b"\x89PNG\r\n\x1a\n" + bytes(100), kind))


async def test_binary_junk_that_calls_itself_html() -> None:
    with pytest.raises(ContentRefused, match="not text"):
        await fetched(reply(bytes(range(256)) * 100))


@pytest.mark.parametrize(
    ("body", "stated", "expected"),
    [
        (b"%PDF-1.7 ...", "application/octet-stream", "application/pdf"),
        (b"%PDF-1.7 ...", "", "application/pdf"),
        (b"<p>hello", "", "text/html"),
        (b"hello", "", "text/plain"),
        (b"{}", "application/ld+json", "application/ld+json"),
        (b"hello", "TEXT/Plain; charset=utf-8", "text/plain"),
    ],
)
async def test_the_type_is_stated_or_guessed(body: bytes, stated: str, expected: str) -> None:
    got = await fetched(reply(body, stated))
    assert got.media_type == expected
    assert (got.text is None) == (expected == "application/pdf")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "304 Not Modified", "302 Found", "204 No Content"])
async def test_statuses_are_answers(status: str) -> None:
    got = await fetched(reply(b"", status=status))
    assert got.status == int(status[:3])
    assert got.ok == status.startswith("2")
