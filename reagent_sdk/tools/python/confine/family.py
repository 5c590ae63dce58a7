"""The processes below the supervisor: which there are, what they use, and how all of them end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from . import walls

_PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(root: int) -> list[int]:
    """Every process below `root`, from what the system lists as children; empty where it lists none."""
    found, waiting = [], [root]
    while waiting:
        for listed in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                children = [int(pid) for pid in listed.read_text().split()]
                found += children
                waiting += children
    return found


def memory(pids: list[int], limit: int) -> int:
    """Bytes that the processes use together. Shared pages are divided only where the plain sum passes the limit."""
    plain = sum(_resident(pid) for pid in pids)
    return plain if plain <= limit else sum(_proportional(pid) for pid in pids)


def kill_all(kernel: int, uid: int | None, patience: float = 5.0) -> None:
    """Kills everything below this process and reaps it.

    Args:
        kernel: the first child; its process group is all there is to go by where children are not listed.
        uid: the user that only these processes have, if any: one call then kills them all, however fast they fork.
        patience: seconds until giving up.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if uid is not None:
            _kill_user(uid)
        elif not Path("/proc/self/task").exists():
            with contextlib.suppress(OSError):
                os.killpg(kernel, signal.SIGKILL)
        else:
            for step in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none forks away meanwhile
                for pid in descendants(os.getpid()):
                    with contextlib.suppress(OSError):
                        os.kill(pid, step)
        if not _reap():
            return
        time.sleep(0.005)


def _kill_user(uid: int) -> None:
    helper = os.fork()
    if helper == 0:
        try:
            walls.drop_rights(uid)
            os.kill(-1, signal.SIGKILL)
        except OSError:
            pass
        finally:
            os._exit(0)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(helper, 0)


def _reap() -> bool:
    """Collects what has ended; whether anything is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return _resident(pid)
