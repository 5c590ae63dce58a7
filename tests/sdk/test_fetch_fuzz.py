from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_benchmarks.hostile_web import serving

from reagent_sdk.tools.web.browse import BrowseTool
from reagent_sdk.tools.web.fetch import Fetcher
from reagent_sdk.tools.web.settings import FetchSettings

HERE = FetchSettings(ports=None, allow_hosts=("127.0.0.1",), total_seconds=2, read_seconds=1)

NAMES = ["Content-Type", "Content-Encoding", "Location", "Content-Length", "Transfer-Encoding", "Set-Cookie", "X"]
VALUES = [
    *(
        "text/html",
        "text/html; charset=",
        "text/html; charset=utf-16",
        ";;;=",
        "*/*",
        "gzip",
        "deflate",
        "chunked",
        "-1",
    ),
    *("0", "5", "99999999999999999999", "/", "http://", "//[", "\xff\xfe", "a=b; Domain=x; Expires=never", ""),
]
header = st.tuples(
    st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(st.characters(max_codepoint=255), max_size=20)
)
status = st.sampled_from([b"200 OK", b"302 Found", b"204", b"301 ", b"404 \xff", b"999 x", b"1 x", b"abc"])


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in draw(st.lists(header, max_size=5)))
    return b"HTTP/1.1 " + draw(status) + b"\r\n" + fields.encode("latin-1") + b"\r\n" + draw(st.binary(max_size=60))


@settings(deadline=None, max_examples=200)
@given(replies() | st.binary(max_size=80))
def test_any_reply_becomes_a_result(answer: bytes) -> None:
    async def browse() -> None:
        async with serving({"*": answer}) as site:
            result = await BrowseTool(Fetcher(HERE)).call({"url": site.url()})
        known = {"HttpError", "EmptyPage", "NoDocumentReader", "ContentRefused", "Unreachable", "UrlRefused"}
        assert result.error in known | {None, "TooManyRedirects", "FetchTimeout", "AddressRefused"}, result

    asyncio.run(browse())
