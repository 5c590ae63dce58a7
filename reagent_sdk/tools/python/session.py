"""The kernel of one attempt: started at the first call, interrupted when it takes too long, replaced when it dies."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.python.client import KernelClient, answers
from reagent_sdk.tools.python.kernel import Confined
from reagent_sdk.tools.python.output import Output
from reagent_sdk.tools.python.pool import KernelPool, in_thread
from reagent_sdk.tools.python.sandbox import Sandbox

_START_SECONDS = 90.0  # far more than it takes, for machines under load
_GRACE = 2.0  # seconds to react to an interrupt
_LOST = "all variables and files are gone, and the next call starts afresh"

Ending = Literal["done", "late", "endless", "dead"]


@dataclass(frozen=True)
class Rules:
    """What holds for every call."""

    timeout: float
    max_output_chars: int
    sandbox: Sandbox
    workdir: Path | None


class KernelSession:
    """Single use: from the first call of an attempt to its end."""

    def __init__(self, pool: KernelPool, rules: Rules) -> None:
        self._pool, self._rules = pool, rules
        self._turn = AsyncExitStack()
        self._has_turn = False
        self._kernel: Confined | None = None
        self._client: KernelClient | None = None

    async def run(self, code: str) -> ToolResult:
        """Runs code and says what became of it.

        Raises:
            OSError: no kernel could be started.
            TimeoutError: none became free.
        """
        try:
            kernel, client = await self._ready()
            return await self._execute(kernel, client, code)
        except BaseException:
            await self._discard()  # cancelled, or no kernel: nothing is known about its state any more
            raise

    async def aclose(self) -> None:
        """Ends the kernel and gives the turn back."""
        try:
            await self._discard()
        finally:
            await self._turn.aclose()

    async def _ready(self) -> tuple[Confined, KernelClient]:
        if self._kernel is not None and self._client is not None:
            return self._kernel, self._client
        kernel = self._kernel = self._kernel or await self._start()
        self._client = KernelClient(kernel.run, kernel.key)
        if not await self._client.ready(_START_SECONDS, kernel.alive):
            raise OSError(f"the kernel did not start: {kernel.complaint() or 'it gave no reason'}")
        return kernel, self._client

    async def _start(self) -> Confined:
        if not self._has_turn:
            await self._turn.enter_async_context(self._pool.turn())
            self._has_turn = True
        kernel = await self._pool.take(self._rules.sandbox)
        folder = self._rules.workdir
        if folder is not None:
            try:
                await in_thread(lambda: kernel.fill(folder))
            except BaseException:
                await in_thread(kernel.close)
                raise
        return kernel

    async def _execute(self, kernel: Confined, client: KernelClient, code: str) -> ToolResult:
        output = Output(self._rules.max_output_chars)
        request = await client.execute(code)
        ending = await self._collect(request, output, self._rules.timeout)
        if ending == "done":
            if output.lost:
                self._close_client()  # the next call makes a new one, and asks until it hears the kernel again
            return output.result()
        if ending == "dead":
            why = await in_thread(kernel.why_ended)
            await self._discard()
            return output.result(f"the kernel died: {why}; {_LOST}", "KernelDied")
        kernel.interrupt()
        after = await self._collect(request, output, _GRACE, enough=False)
        late = ending == "late"
        what = f"stopped after {self._rules.timeout:g} seconds" if late else "stopped: far too much output"
        error = "TimeoutError" if late else "OutputLimit"
        if after == "done":
            if output.lost:
                self._close_client()
            return output.result(f"{what}; variables are kept", error)
        await self._discard()
        return output.result(f"{what}; it did not react to an interrupt and was killed: {_LOST}", error)

    async def _collect(self, request: str, output: Output, seconds: float, *, enough: bool = True) -> Ending:
        """Reads until the request is over, the time is up, the kernel is dead or the output is endless."""
        kernel, client = self._kernel, self._client
        assert kernel is not None  # noqa: S101 - narrows for mypy: there is no run without both
        assert client is not None  # noqa: S101
        deadline, replied = time.monotonic() + seconds, 0.0
        while (left := deadline - time.monotonic()) > 0:
            replies = await client.receive(min(left, 0.2))
            for channel, reply in replies:
                kind, content = reply.get("msg_type"), reply["content"]
                own = answers(reply, request)
                if channel == "shell":
                    replied = replied or (time.monotonic() if own else 0.0)
                elif kind == "status":
                    if own and content.get("execution_state") == "idle":
                        return "done"
                else:
                    output.take(kind, content)
            if enough and output.endless:
                return "endless"
            if not replies and replied and time.monotonic() - replied > 1.0:
                output.lost = True  # the word that it is over went missing, and what came before it may have
                return "done"
            if not replies and not kernel.alive():
                return "dead"
        return "late"

    async def _discard(self) -> None:
        self._close_client()
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            await asyncio.shield(in_thread(kernel.close))

    def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()
