"""The supervisor of one walled-in command. It obeys its standard input and ends with the command, or with its parent.

    i     interrupt the command
    EOF   kill everything and leave: the parent closed the tool, or died

It adopts every orphan, so a child that left the session or the process group is found and killed all the same.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import family, linux, walls

_TICK = 0.5
_MAX_FILES = 20_000


def main() -> None:
    """Reads the order from the command line and carries it out."""
    spec = json.loads(sys.argv[1])
    os.umask(0o022)
    notes = Path(spec["base"])  # the command cannot write there, so no link of its own can lead us astray
    woken = _wake_on_child()
    report: walls.Report = {}
    walls.attempt(report, "adopts_orphans", linux.adopt_orphans)
    if spec["namespaces"]:
        walls.namespaces(spec, report)
    walls.attempt(report, "no_new_privileges", linux.no_new_privileges)
    (notes / "walls.json").write_text(json.dumps(_foreseen(spec, report)))
    kernel = os.fork()
    if kernel == 0:
        _become(spec, report)
    status, why = _watch(spec, kernel, woken)
    family.kill_all(kernel, spec["uid"] if spec["own_uid"] else None)
    (notes / "ended.json").write_text(json.dumps({"why": why, "status": status}))
    os._exit(0)


def _foreseen(spec: dict[str, Any], report: walls.Report) -> walls.Report:
    """The report with what the child is about to do: tried here in a process that only answers."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        answer = dict(report)
        walls.limits(spec, answer, counted=_counted(spec, report))
        os.write(write, json.dumps(answer).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answered:
        told: walls.Report = json.load(answered)
    os.waitpid(child, 0)
    return told


def _counted(spec: dict[str, Any], report: walls.Report) -> bool:
    """Whether the limit on processes counts this command's alone: by its own user, or by its own user namespace."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return spec["own_uid"] or (report.get("user_namespace") == "on" and release >= (5, 14))


def _become(spec: dict[str, Any], report: walls.Report) -> None:
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nowhere, 0)  # the supervisor's orders are not for the command to hold open
        walls.limits(spec, report, counted=_counted(spec, report))
        walls.drop_rights(spec["uid"])
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.chdir(spec["work"])
        os.execv(spec["command"][0], spec["command"])  # noqa: S606
    except BaseException as error:
        os.write(2, f"the kernel could not be started: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(126)


def _watch(spec: dict[str, Any], kernel: int, woken: int) -> tuple[int, str]:
    """Waits until the command ends, breaks a limit, or the parent lets go."""
    ticks = 0
    while True:
        ready, _, _ = select.select([0, woken], [], [], _TICK)
        if woken in ready:
            os.read(woken, 4096)
            ended = _reaped(kernel)
            if ended is not None:
                return ended, "ended"
        if 0 in ready:
            orders = os.read(0, 64)
            if not orders:
                return 0, "closed"
            _interrupt(kernel)
        if not ready:
            ticks += 1
            broken = _broken(spec, check_disk=ticks % 4 == 0)
            if broken:
                return 0, broken


def _broken(spec: dict[str, Any], *, check_disk: bool) -> str:
    allowed = spec["memory_mb"] * 2**20
    if family.memory(family.descendants(os.getpid()), allowed) > allowed:
        return f"its processes used more than {spec['memory_mb']} MB of memory together"
    if check_disk and _too_large(Path(spec["base"]), spec["disk_mb"] * 2**20):
        return f"its files took more than {spec['disk_mb']} MB, or were more than {_MAX_FILES}"
    return ""


def _too_large(folder: Path, allowed: int) -> bool:
    total = 0
    for count, size in enumerate(_sizes(folder)):
        total += size
        if total > allowed or count >= _MAX_FILES:
            return True
    return False


def _sizes(folder: Path) -> Iterator[int]:
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            try:
                yield os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                continue


def _interrupt(kernel: int) -> None:
    try:
        os.killpg(kernel, signal.SIGINT)
    except OSError:
        return


def _reaped(kernel: int) -> int | None:
    """Collects the children that ended; the kernel's status if it was among them."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == kernel:
                return os.waitstatus_to_exitcode(status)
            if pid == 0:
                return None
    except ChildProcessError:
        return 0


def _wake_on_child() -> int:
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return read
