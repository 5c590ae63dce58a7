"""A server process at a fixed port that is started again whenever it ends, and can be killed at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

MARK = "REAGENT_CHAOS"
"""Environment variable by which all processes of one run are found, however far from their parents they end up."""

_PORTS = range(20_000, 32_000)
"""Below the range from which Linux draws ports for outgoing connections: while a server is down, a client that calls
its port could otherwise be given that very port, and talk to itself."""
_PAUSE = 0.2


@dataclass
class Kill:
    """One end that was forced.

    Attributes:
        victim: which server.
        number: SIGKILL, or SIGTERM which lets it finish its requests first.
        at: when, in seconds of the monotonic clock.
        code: how the process ended.
        back: when a new process was ready, also where another kill came first; None when the end came first.
    """

    victim: str
    number: signal.Signals
    at: float
    code: int | None = None
    back: float | None = None


class Server:
    """Keeps one server up.

    Args:
        name: for the report.
        command: program and arguments; its first line on stdout says that it is ready. Called for every start with
            the number of starts so far.
        environment: the process's whole environment.
        log: file that its stderr is appended to.

    Attributes:
        up: set while it is ready.
        pid: the running process.
        starts: how often it was started.
        kills: every forced end.
        deaths: exit codes of ends that nobody asked for.
    """

    def __init__(
        self, name: str, command: Callable[[int], Sequence[str]], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.up = asyncio.Event()
        self.pid: int | None = None
        self.starts = 0
        self.kills: list[Kill] = []
        self.deaths: list[int] = []
        self._command = command
        self._environment = dict(environment)
        self._log = log
        self._doomed: int | None = None

    def kill(self, number: signal.Signals) -> None:
        """Signals the whole process group of the running server. Does nothing between two lives."""
        if self.pid is None or self.pid == self._doomed:
            return
        self.up.clear()
        self._doomed = self.pid
        self.kills.append(Kill(self.name, number, time.monotonic()))
        os.killpg(self.pid, number)

    @asynccontextmanager
    async def kept_up(self) -> AsyncIterator[None]:
        """Keeps it up inside the `async with` block; ends it afterwards."""
        keeping = asyncio.ensure_future(self._keep_up())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep_up(self) -> None:
        while True:
            killed = len(self.kills)
            code = await self._one_life()
            if len(self.kills) > killed:
                self.kills[-1].code = code
            else:
                self.deaths.append(code)
                await asyncio.sleep(_PAUSE)

    async def _one_life(self) -> int:
        self.starts += 1
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self._command(self.starts),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the one who measures
            )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        self.pid = process.pid
        try:
            ready = await process.stdout.readline()
            if ready and self.pid != self._doomed:
                self.up.set()
                for kill in self.kills:
                    kill.back = kill.back or time.monotonic()
            await process.stdout.read()
            return await process.wait()
        finally:
            self.up.clear()
            self.pid = None
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            if process.stdin is not None:
                process.stdin.close()


def free_port(draw: random.Random) -> int:
    """A port that nobody listens on and that no outgoing connection will be given."""
    while True:
        port = draw.choice(_PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def judge_command(port: int, judge: str, *words: str) -> list[str]:
    """`reagent judge serve` as a user starts it."""
    serve = [sys.executable, "-m", "reagent_sdk", "judge", "serve", judge, "--port", str(port), "--drain-seconds", "3"]
    return [*serve, *words]


def model_command(port: int, seed: str) -> list[str]:
    """The scripted model server."""
    return [sys.executable, "-m", "reagent_benchmarks.chaos.model_server", "--port", str(port), "--seed", seed]
