"""The end of a kernel: its processes and its folder. Where its supervisor was killed, by their user or their mark."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from reagent_sdk.tools.python.sandbox import note

MARKER = "REAGENT_KERNEL"


def end(process: subprocess.Popen[bytes], base: Path, marker: tuple[int | None, str], owner: int) -> None:
    """Ends a supervised process for good.

    Args:
        process: its supervisor.
        base: its folder.
        marker: its own user, if it has one, and the mark its processes carry.
        owner: the process that started it.
    """
    if os.getpid() != owner:
        return  # a fork of this process exits: the kernel is not its own
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if not note(base, "ended.json"):
        kill(*marker)
    _remove(base)


def _remove(base: Path) -> None:
    """Removes the folder and whatever code made of it. Nothing runs in it any more, so nothing can change under us."""
    shutil.rmtree(base, ignore_errors=True)
    for path, folders, _ in os.walk(base):  # folders that were locked: root needs no key, others own them
        for folder in (Path(path, name) for name in folders):
            if not folder.is_symlink():
                with contextlib.suppress(OSError):
                    folder.chmod(0o700)
    shutil.rmtree(base, ignore_errors=True)


def kill(uid: int | None, key: str, patience: float = 5.0) -> None:
    """Kills what still runs as the kernel's own user or carries its mark, until nothing is found."""
    deadline = time.monotonic() + patience
    while (found := find(uid, key)) and time.monotonic() < deadline:
        for step in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none forks away meanwhile
            for pid in found:
                with contextlib.suppress(OSError):
                    os.kill(pid, step)
        time.sleep(0.005)


def find(uid: int | None, key: str) -> list[int]:
    """The processes of that user, or with that mark, that have not ended."""
    mark = f"{MARKER}={key}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            owned = uid is not None and folder.stat().st_uid == uid
            if (owned or mark in (folder / "environ").read_bytes().split(b"\0")) and not _over(folder):
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


def _over(process: Path) -> bool:
    return (process / "stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
