"""Runs one command, and ends it with everything it started when whoever asked for it goes away.

`python -m reagent_sdk.serving.guard COMMAND...`: the guard's standard input is its lifeline. When it closes, because
the parent closed it or was killed, the command gets SIGTERM and some seconds, then SIGKILL with all its descendants. An
inference server has processes of its own, some of them in sessions of their own; left over, they would keep the GPU's
memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

from reagent_sdk.tools.python.confine import family, linux

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

_SET_PARENT_DEATH_SIGNAL = 1


def main() -> None:
    """Runs the command of the process's arguments and exits with its code, 128 + n when signal n ended it."""
    with contextlib.suppress(OSError):
        linux.adopt_orphans()  # descendants that leave their session stay below this process
    command = subprocess.Popen(  # noqa: S603
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_guard,  # safe: this process has no other thread yet
    )
    threading.Thread(target=_end_with_lifeline, args=(command,), daemon=True).start()
    code = command.wait()
    family.kill_all(command.pid, None)
    os._exit(code if code >= 0 else 128 - code)


def _end_with_lifeline(command: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    with contextlib.suppress(OSError):
        os.killpg(command.pid, signal.SIGTERM)
    try:
        command.wait(GRACE)
    except subprocess.TimeoutExpired:
        family.kill_all(command.pid, None)


def _die_with_guard() -> None:
    """For the one who kills the guard itself; other systems than Linux have no such thing."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    main()
