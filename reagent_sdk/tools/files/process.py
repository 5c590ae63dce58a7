"""Runs the reading of a hostile file in a process of its own that is limited, cannot reach the network, and is killed.

Whoever parses a stranger's file must expect that the parser hangs, eats all memory or crashes. The process gets the
open file as its standard input, no environment, and limits on memory and processor time that it cannot raise.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

import anyio
import anyio.lowlevel
from anyio.abc import ByteReceiveStream, Process
from pydantic import Field

from reagent_sdk.frozen import Settings
from reagent_sdk.tools.files.roots import FileProblem

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from reagent_sdk.tools.files.worker import main; main(json.loads(sys.argv[2]))"
)
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # each thread would take memory from the limit
_SLOTS: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("reagent_file_processes")


class FileLimits(Settings):
    """What reading one file may take."""

    max_bytes: int = Field(64 << 20, ge=1, description="size of a file")
    max_unpacked: int = Field(256 << 20, ge=1, description="bytes that archives and office files may unpack to")
    max_output: int = Field(32 << 20, ge=1024, description="bytes of text, or of samples, that come of it")
    seconds: float = Field(60.0, gt=0, description="time for reading it; then the reading process is killed")
    memory_mb: int = Field(2048, ge=256, description="address space of the reading process")


@dataclass(frozen=True)
class Reply:
    """What came of a file: facts about it, and its content."""

    facts: Mapping[str, Any]
    content: bytes

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")


async def run_worker(function: str, source: int | IO[bytes], limits: FileLimits, **arguments: Any) -> Reply:
    """Calls a function on an open file in a process of its own.

    Args:
        function: "module:name" of a function that takes a binary stream and a mapping of arguments, and returns a
            JSON-ready dict of facts and the content as bytes.
        source: the file, open for reading; it is read from its beginning.
        limits: what the process may take.
        **arguments: the function's arguments, ready for JSON.

    Raises:
        FileProblem: the function raised it, or the process was killed or broke.
    """
    request = {"function": function, "arguments": arguments, "limits": limits.model_dump()}
    path = [entry for entry in sys.path if entry]
    command = [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(path), json.dumps(request)]
    os.lseek(source if isinstance(source, int) else source.fileno(), 0, os.SEEK_SET)
    async with _slots():
        process = await anyio.open_process(
            command, stdin=source, cwd="/", env={"LANG": "C.UTF-8", **_ONE_THREAD}, start_new_session=True
        )
        try:
            with anyio.fail_after(limits.seconds):
                output, said = await _collect(process, limits.max_output)
        except TimeoutError:
            raise FileProblem(
                "TimedOut", f"the file was not read within {limits.seconds:g} seconds, so reading it was stopped"
            ) from None
        finally:
            _kill(process)
            with anyio.CancelScope(shield=True):
                await process.aclose()
    return _reply(output, said, process.returncode)


def _slots() -> anyio.CapacityLimiter:
    """As many reading processes as there are cores, in each event loop."""
    limiter = _SLOTS.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(os.cpu_count() or 1)
        _SLOTS.set(limiter)
    return limiter


async def _collect(process: Process, limit: int) -> tuple[bytes, bytes]:
    if process.stdout is None or process.stderr is None:
        raise RuntimeError("the process was started without pipes")
    output, said = bytearray(), bytearray()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_drain, process.stderr, said, 1 << 16)
        await _drain(process.stdout, output, limit + (1 << 16))
    await process.wait()
    return bytes(output), bytes(said)


async def _drain(stream: ByteReceiveStream, into: bytearray, limit: int) -> None:
    """Reads to the end, so that the writer never blocks, and keeps the first `limit` bytes."""
    async for piece in stream:
        into += piece[: max(0, limit - len(into))]


def _kill(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _reply(output: bytes, said: bytes, code: int | None) -> Reply:
    head, separator, content = output.partition(b"\n")
    if not separator:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        if code == -signal.SIGXCPU or code == -signal.SIGKILL:
            raise FileProblem("TimedOut", "the file took too much processor time, so reading it was stopped")
        raise FileProblem(
            "Damaged", f"the reader broke on this file, or ran out of memory ({last or f'status {code}'})"
        )
    facts = json.loads(head)
    if "problem" in facts:
        raise FileProblem(facts["problem"], facts["message"])
    return Reply(facts, content)
