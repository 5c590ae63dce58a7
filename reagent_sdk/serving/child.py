"""One run of an engine as a guarded child process."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.secrets import Secret, excerpt
from reagent_sdk.serving.guard import GRACE
from reagent_sdk.serving.log import EventLog

PORT_LINE = "reagent-engine-port "
"""How an engine that chooses its own port tells it, as a line of its output."""

_LINE = 64 * 2**10
_LAST_LINES = 5
_TICK = 0.05


@dataclass(frozen=True)
class Launch:
    """How an engine is started.

    Attributes:
        command: program and arguments; no key among them, everybody can read those.
        environment: the process's whole environment.
        key: what opens the engine.
        port: where it will listen on 127.0.0.1; None when it tells by `PORT_LINE`.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    key: Secret
    port: int | None = None


class Child:
    """A running engine. Its output goes to the log line by line, with the engine's name before it."""

    def __init__(self, process: asyncio.subprocess.Process, launch: Launch, engine: str, log: EventLog) -> None:
        self._process = process
        self._lifeline = cast(asyncio.StreamWriter, process.stdin)
        self._output = cast(asyncio.StreamReader, process.stdout)
        self._launch = launch
        self._engine = engine
        self._log = log
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if launch.port is not None:
            self._port.set_result(launch.port)

    async def endpoint(self) -> Endpoint:
        """Its address and key, as soon as the port is known."""
        port = await asyncio.shield(self._port)
        key = self._launch.key
        return Endpoint(f"http://127.0.0.1:{port}/v1", Secret(f"Bearer {key.reveal()}"), (key,))

    async def ended(self) -> str:
        """Passes its output on until it has ended; says how that was."""
        pump = asyncio.ensure_future(self._pump())
        try:
            await self._gone()
            await asyncio.wait({pump}, timeout=1)  # the last lines, unless a stray holds the pipe open
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        last = excerpt(" | ".join(self._last), self._launch.key, limit=600)
        return f"it ended with code {self._process.returncode}" + (f"; its last lines: {last}" if last else "")

    async def stop(self) -> None:
        """Ends it with all its descendants, and waits until they are gone."""
        self._lifeline.close()
        drained = asyncio.ensure_future(self._drop_output())  # a full pipe would keep it from ending
        try:
            async with asyncio.timeout(GRACE + 5):
                await self._gone()
        except TimeoutError:
            self._process.kill()
            await self._gone()
        finally:
            drained.cancel()
            await asyncio.gather(drained, return_exceptions=True)

    async def _gone(self) -> None:
        """Waits for the end of the guard. Not with the process's own `wait`, which may wait for its pipes as well."""
        while self._process.returncode is None:  # noqa: ASYNC110 - asyncio has no event for this
            await asyncio.sleep(_TICK)

    async def _drop_output(self) -> None:
        while await self._output.read(_LINE):
            pass

    async def _pump(self) -> None:
        while True:
            try:
                raw = await self._output.readline()
            except ValueError:  # longer than the reader's limit, which drops it
                continue
            if not raw:
                return
            line = excerpt(raw.decode("utf-8", "replace"), self._launch.key, limit=2_000)
            port = line.removeprefix(PORT_LINE)
            if port != line and port.isascii() and port.isdigit() and not self._port.done():
                self._port.set_result(int(port))
            elif line:
                self._last.append(line)
                self._log.line(f"{self._engine} | {line}")


@asynccontextmanager
async def spawned(launch: Launch, engine: str, log: EventLog) -> AsyncIterator[Child]:
    """An engine that runs inside the `async with` block and nothing of which is left after it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "reagent_sdk.serving.guard",
        *launch.command,
        stdin=asyncio.subprocess.PIPE,  # the lifeline: it closes with this process, however that ends
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(launch.environment),
        start_new_session=True,  # Ctrl-C is for this process, which has requests to finish first
        limit=_LINE,
    )
    child = Child(process, launch, engine, log)
    try:
        yield child
    finally:
        await child.stop()
