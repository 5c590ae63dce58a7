from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from reagent_benchmarks.hostile_web import Site, redirect, reply, serving

from reagent_sdk.tools.web.errors import Unreachable
from reagent_sdk.tools.web.fetch import safe_fetch
from reagent_sdk.tools.web.settings import FetchSettings

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate"),
]

HERE = FetchSettings(ports=None, allow_private=True, total_seconds=5)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.fixture
async def plain() -> AsyncIterator[Site]:
    async with serving({"/": reply("plain")}) as site:
        yield site


@pytest.fixture
async def secure_port(certificate: tuple[Path, Path], plain: Site) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(redirect(plain.url()) if b" /down " in head else reply("x" * 3_000_000))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr(aiohttp, "TCPConnector", partial(aiohttp.TCPConnector, ssl=context))


async def test_a_certificate_that_nobody_vouches_for(secure_port: int) -> None:
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        await safe_fetch(f"https://localhost:{secure_port}/", HERE)


@pytest.mark.usefixtures("trusted")
async def test_the_name_on_the_certificate_counts(secure_port: int) -> None:
    assert len((await safe_fetch(f"https://localhost:{secure_port}/", HERE)).body) == 3_000_000
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        await safe_fetch(f"https://127.0.0.1:{secure_port}/", HERE)


@pytest.mark.usefixtures("trusted")
async def test_a_downgrade_to_plain_http_is_noted(secure_port: int, plain: Site) -> None:
    fetched = await safe_fetch(f"https://localhost:{secure_port}/down", HERE)
    assert fetched.text == "plain"
    assert "from https to plain http" in fetched.notes[1]
