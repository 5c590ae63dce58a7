"""The proxy on a real socket: in a thread of this process with any judge, or as the process that users start."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from reagent_adapters.proxy.app import Doors, Telling, build
from reagent_adapters.proxy.chat import Settings
from reagent_adapters.proxy.connect import upstream_for
from reagent_adapters.proxy.patience import PatientJudge
from reagent_adapters.proxy.rules import Defaults
from reagent_adapters.proxy.sse import Pace
from reagent_adapters.proxy.watch import Watch

from reagent_sdk.serving.host import connections, listen, server_of, url_of
from reagent_sdk.serving.log import EventLog
from reagent_sdk.specs import judge_for
from reagent_sdk.testing import Reply

GOOD = "The robe takes three bolts in all."
DRAFT = "SECRET-DRAFT two bolts."


def verdict(score: float, critique: str) -> str:
    return f"<analysis>\nHIDDEN-ANALYSIS\n</analysis>\n<critique>\n{critique}\n</critique>\n<score>{score}</score>"


def judging(body: dict[str, Any]) -> Reply:
    """A judge model that likes the good answer."""
    text = json.dumps(body["messages"])
    good = GOOD in text
    return Reply(verdict(0.9, "Nothing is left to mend.") if good else verdict(0.2, "Count the white fiber as well."))


def answering(body: dict[str, Any]) -> Reply:
    """A model that drafts badly and revises well."""
    revised = "A reviewer read your work" in str(body["messages"][-1])
    return Reply(GOOD if revised else DRAFT, usage=(10, 5))


class Proxy:
    """A proxy that runs; `url` is its base URL. A process also has what it announced."""

    def __init__(self, url: str, log: Callable[[], str], process: subprocess.Popen[str] | None = None) -> None:
        self.url = url
        self.told: dict[str, Any] = {}
        self._process = process
        self.root = url.removesuffix("/v1")
        self.log = log
        self.http = httpx.Client(timeout=60, trust_env=False)

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def ask(self, content: Any = "How many bolts?", *, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
        body = {"model": "test-model", "messages": messages, **fields}
        return self.http.post(f"{self.url}/chat/completions", json=body, headers=headers or {})

    def metrics(self) -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(self.http.get(f"{self.root}/metrics").text)
        return {(s.name, *map(str, s.labels.values())): s.value for family in families for s in family.samples}

    def counted(self, *name: str) -> float:
        return self.metrics().get((f"reagent_proxy_{name[0]}", *name[1:]), 0.0)


@contextmanager
def proxy_thread(
    upstream: str,
    judge: Any,
    *,
    doors: Doors | None = None,
    defaults: Defaults | None = None,
    pace: Pace | None = None,
    telling: Telling | None = None,
    judge_seconds: float = 60.0,
    body_bytes: int = 2**20,
) -> Iterator[Proxy]:
    """The proxy in a thread; `judge` is a spec or a judge."""
    started: Any = threading.Event()
    found: dict[str, Any] = {}
    lines = io.StringIO()
    log = EventLog(lines)
    sock = listen("127.0.0.1", 0)

    async def run() -> None:
        async with connections() as session:
            up = upstream_for(upstream, session, log, key_variable="NO_SUCH_KEY")
            patient = PatientJudge(judge_for(judge), seconds=judge_seconds)
            watch = Watch(up, patient, judge if isinstance(judge, str) else "", session, log, interval=0.2)
            settings = Settings(defaults or Defaults(), body_bytes, pace=pace or Pace())
            front = build(up, patient, watch, log, settings, doors or Doors(), telling or Telling())
            server = server_of(front)
            found.update(server=server, loop=asyncio.get_running_loop())
            looking = asyncio.ensure_future(watch.run())
            serving = asyncio.ensure_future(server.serve(sockets=[sock]))
            await watch.ready()
            started.set()
            await serving
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await patient.aclose()
            await up.aclose()

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            found["error"] = error
            started.set()
            raise

    thread = threading.Thread(target=main, name="proxy")
    thread.start()
    assert started.wait(60)
    assert "error" not in found
    proxy = Proxy(url_of(sock), lines.getvalue)
    try:
        yield proxy
    finally:
        proxy.http.close()
        found["server"].should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@contextmanager
def proxy_process(*words: str, **environment: str) -> Iterator[Proxy]:
    """`reagent proxy` as users start it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REAGENT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "reagent_sdk", "proxy", "--port", "0", "--json", "--probe-seconds", "0.5", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, **environment},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
    reader.start()
    try:
        said = process.stdout.readline()
        assert said, "".join(lines)
        told = json.loads(said)
        proxy = Proxy(told["url"], lambda: "".join(lines), process)
        proxy.told = told
        yield proxy
        proxy.http.close()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        reader.join(60)
        process.stdout.close()
        process.stderr.close()


def events(text: str) -> list[dict[str, Any]]:
    """The JSON events of a stream."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(text: str, index: int = 0) -> str:
    """What a client that knows nothing of the proxy puts together."""
    choices = [choice for event in events(text) for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits until something holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return result
