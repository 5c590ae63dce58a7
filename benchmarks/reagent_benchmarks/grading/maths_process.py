"""Asks math-verify in a process of its own, which is ended when it computes for too long.

Why a process and not math-verify's own time limit: that one is a signal alarm, which works in the main thread only,
cannot break into arithmetic in C such as 9**9**9, and bounds no memory. And why one that stays: importing sympy takes a
second, comparing a pair some milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from reagent_benchmarks.grading.maths_worker import main; main(int(sys.argv[2]))"
)
_STARTING = 120.0
"""Seconds that starting may take on a busy machine."""
_FRESH_AFTER = 2_000
"""Requests after which a process is replaced: sympy's caches grow."""


@dataclass(frozen=True)
class Compared:
    """What became of a comparison; `right` is None when nothing is known of the answer."""

    right: bool | None
    why: str = ""


class MathsProcess:
    """One comparing process, started when it is first needed and again when it was ended. Used by one thread at a time.

    Args:
        seconds: processor time for one comparison.
        memory_mb: address space.
        wall: seconds on the clock after which a comparison is given up, as no fault of the answer.
    """

    def __init__(self, seconds: int, memory_mb: int, wall: float) -> None:
        self._seconds, self._memory_mb, self._wall = seconds, memory_mb, wall
        self._process: subprocess.Popen[str] | None = None
        self._end: weakref.finalize[Any, Any] | None = None
        self._owner, self._asked = 0, 0

    def compare(self, golds: Sequence[str], answer: str) -> Compared:
        """Whether an answer equals one of the references."""
        self._asked += 1
        if self._owner != os.getpid() or self._asked % _FRESH_AFTER == 0:
            self.close()  # a process that this one was forked with belongs to the parent
        if self._process is None and not self._start():
            return Compared(None, "the process that compares formulas did not start; is math-verify installed?")
        request = {"golds": list(golds), "answer": answer, "seconds": self._seconds}
        late = threading.Event()
        read = self._exchange(json.dumps(request), late)
        if len(read) == 2:
            return Compared(bool(read[1]["right"]), str(read[1].get("why", "")))
        self.close()
        if late.is_set():
            return Compared(None, f"no verdict within {self._wall:g} seconds on the clock: the machine is too busy")
        if not read:
            return Compared(None, "the references could not be compared within the limits")
        return Compared(False, f"comparing it took more than {self._seconds} s of processor time, or crashed")

    def close(self) -> None:
        """Ends the process, if there is one. It starts again when it is needed."""
        end, self._end, self._process = self._end, None, None
        if end is not None and self._owner == os.getpid():
            end()

    def _start(self) -> bool:
        path = json.dumps([entry for entry in sys.path if entry])
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-B", "-c", _BOOT, path, str(self._memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={"LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"},
        )
        self._process, self._owner = process, os.getpid()
        self._end = weakref.finalize(self, _ended, process, os.getpid())
        if _line(process, _STARTING, threading.Event()) is None:
            self.close()
            return False
        return True

    def _exchange(self, request: str, late: threading.Event) -> list[dict[str, Any]]:
        """The lines that came back: two when all went well, one when the process ended while it read the answer."""
        process = self._process
        assert process is not None  # noqa: S101 - started by the caller
        assert process.stdin is not None  # noqa: S101
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
        except OSError:
            return []
        lines = (_line(process, self._wall, late) for _ in range(2))
        return [line for line in lines if line is not None]


def _line(process: subprocess.Popen[str], seconds: float, late: threading.Event) -> dict[str, Any] | None:
    """The next line of a process; None when it ended, or was ended because its time was up."""
    assert process.stdout is not None  # noqa: S101 - started with a pipe

    def give_up() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(seconds, give_up)
    clock.daemon = True
    clock.start()
    try:
        line: Any = json.loads(process.stdout.readline() or "null")
    except ValueError:  # ended in the middle of a line
        return None
    finally:
        clock.cancel()
    return line if isinstance(line, dict) else None


def _ended(process: subprocess.Popen[str], owner: int) -> None:
    if os.getpid() != owner:
        return
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:  # what it did not read any more
                continue
