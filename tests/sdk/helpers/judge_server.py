"""`reagent judge serve` as a process, for tests."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

KEY = "front-door-key-0123456789"
FAKE_VLLM = Path(__file__).parent / "fake_vllm"


class JudgeServer:
    """A server process; `url` is known as soon as it listens, which is before it is ready."""

    def __init__(self, *words: str, **environment: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REAGENT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reagent_sdk", "judge", "serve", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**kept, "SERVE_KEY": KEY, **environment},
        )
        self.log: list[str] = []
        self.http = httpx.Client(timeout=240, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip("\n"))
                if " listening " in line:
                    self._listening.set()
        self._listening.set()

    @property
    def url(self) -> str:
        assert self._listening.wait(240)
        found = re.search(r"listening url=(\S+)", "\n".join(self.log))
        assert found, self.log
        return found[1]

    @property
    def root(self) -> str:
        return self.url.removesuffix("/v1")

    def announced(self) -> str:
        """Waits for the line on stdout."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(self.root + path, **options)

    def ask(self, text: str = "hello", *, key: str | None = KEY, **fields: Any) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **fields}
        return self.http.post(f"{self.url}/chat/completions", json=body, headers=headers)

    def metrics(self) -> dict[tuple[str, ...], float]:
        """Every sample, by its name and the values of its labels."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        return {(s.name, *map(str, s.labels.values())): s.value for family in families for s in family.samples}

    def counted(self, *name: str) -> float:
        return self.metrics().get((f"reagent_serve_{name[0]}", *name[1:]), 0.0)

    def ended(self) -> int:
        """Waits for the end of the process and its log; returns its exit code."""
        code = self.process.wait(240)
        self._reader.join(240)
        return code

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextmanager
def judge_server(*words: str, **environment: str) -> Iterator[JudgeServer]:
    server = JudgeServer("--port", "0", *words, **environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.tell(signal.SIGTERM)
            server.tell(signal.SIGTERM)
        server.ended()
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.http.close()


def until(holds: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Waits until something holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return result


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def notes(path: Path, what: str) -> list[dict[str, Any]]:
    """What the stand-in for vLLM wrote down."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [note for note in map(json.loads, lines) if note["what"] == what]
