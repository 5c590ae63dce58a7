"""The walls of the `process` level: namespaces, resource limits and another user, as far as the system allows.

Every step reports whether it took hold, as a line of words; nothing here raises because a step was refused.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import linux

Report = dict[str, str]


def namespaces(spec: dict[str, Any], report: Report) -> None:
    """Gives this process its own view of users, files, shared memory and network."""
    if os.geteuid() != 0:
        attempt(report, "user_namespace", _own_users_if_whole)
    attempt(report, "ipc", lambda: linux.unshare(linux.NEW_IPC))
    if not spec["network"]:
        attempt(report, "network", lambda: linux.unshare(linux.NEW_NET))
    if attempt(report, "mounts", _own_mounts):
        attempt(report, "hidden_folders", lambda: _hide(spec["hide"], spec["keep"], spec["base"], spec["memory_mb"]))
        attempt(report, "hidden_processes", _hide_processes)
        attempt(report, "read_only", lambda: _read_only(spec["base"], spec["scratch"]))


def limits(spec: dict[str, Any], report: Report, *, counted: bool) -> None:
    """Sets the resource limits; whoever sets them cannot raise them again.

    Args:
        spec: what is allowed.
        report: receives a line a limit.
        counted: the system counts this command's processes apart from all others.
    """
    tasks = spec["processes"] + spec["own_tasks"] + (0 if counted else _tasks_of_user())
    megabyte = 2**20
    _limit(report, "core", resource.RLIMIT_CORE, 0)
    _limit(report, "memory", resource.RLIMIT_AS, spec["memory_mb"] * megabyte)
    _limit(report, "file_size", resource.RLIMIT_FSIZE, spec["file_mb"] * megabyte)
    _limit(report, "open_files", resource.RLIMIT_NOFILE, spec["open_files"])
    _limit(report, "processes", resource.RLIMIT_NPROC, tasks)
    if spec["cpu_seconds"] is not None:
        _limit(report, "cpu", resource.RLIMIT_CPU, spec["cpu_seconds"])


def drop_rights(uid: int | None) -> None:
    """Becomes another user for good, where one is given. This one must not fail."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)


def _own_users_if_whole() -> None:
    """Some systems grant the namespace and refuse its map of users, with no way back: so a child goes first."""
    scout = os.fork()
    if scout == 0:
        try:
            _own_users()
            _own_mounts()
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(scout, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))
    _own_users()


def _own_users() -> None:
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _own_mounts() -> None:
    linux.unshare(linux.NEW_MOUNTS)
    linux.mount("none", "/", flags=linux.RECURSIVE | linux.PRIVATE)


def _hide(folders: Iterable[str], keep: Iterable[str], base: str, memory_mb: int) -> None:
    """Covers folders with empty ones, in which only what is kept shows."""
    kept = {path: os.open(path, os.O_PATH) for path in [*keep, base]}
    for folder in folders:
        options = f"mode={'1777' if _is_scratch(folder) else '0755'},size={max(16, memory_mb // 4)}m"
        linux.mount("tmpfs", folder, "tmpfs", linux.NO_SUID | linux.NO_DEVICES, options)
    for path, handle in kept.items():
        if path == base or any(Path(path).is_relative_to(folder) for folder in folders):
            Path(path).mkdir(parents=True, exist_ok=True)
            linux.mount(f"/proc/self/fd/{handle}", path, flags=linux.BIND | linux.RECURSIVE)
        os.close(handle)


def _is_scratch(folder: str) -> bool:
    return folder in ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108


def _hide_processes() -> None:
    """Shows only the command's own processes in /proc; only real root may mount it so."""
    flags = linux.NO_SUID | linux.NO_DEVICES | linux.NO_EXEC
    linux.mount("proc", "/proc", "proc", flags, "hidepid=2")


def _read_only(base: str, scratch: Iterable[str]) -> None:
    linux.set_read_only("/", on=True, tree=True)
    for folder in [base, *scratch]:
        linux.set_read_only(folder, on=False)


def _tasks_of_user() -> int:
    """How many threads this user has: where they are all counted together, the limit has to stand above them."""
    total, uid = 0, str(os.getuid())
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if fields["Uid"].split()[0] == uid:
            total += int(fields["Threads"])
    return total


def _limit(report: Report, name: str, which: int, value: int) -> None:
    def lower() -> None:
        _, hard = resource.getrlimit(which)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (allowed, allowed))

    attempt(report, name, lower)


def attempt(report: Report, name: str, step: Callable[[], None]) -> bool:
    """Takes a step and writes down whether the system let it; whether it did."""
    try:
        step()
    except (OSError, ValueError) as error:
        report[name] = f"refused: {error}"
        return False
    report[name] = "on"
    return True
