"""What model-written Python may use, and how strongly it is walled in.

Levels:
    process      a supervisor, resource limits, and what the system grants without any program of its own: another
                 user when started as root, else a user namespace; own mounts (read-only, home hidden), no network.
    bubblewrap   the same limits inside `bwrap`: besides, its own process table, so that no other process is visible.

What a machine really enforces depends on its kernel and on the rights of this process: ask `isolation_report()`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, Settings

SUPERVISOR = Path(__file__).parent / "confine"
Level = Literal["process", "bubblewrap"]


class Sandbox(Settings):
    """Limits of one kernel. Memory, files and disk in megabytes."""

    isolation: Literal["auto", "process", "bubblewrap"] = Field("auto", description="auto: the strongest that works")
    network: bool = Field(False, description="whether code may use the network")
    memory_mb: int = Field(1024, ge=192, description="address space of a process, and memory of all of them together")
    cpu_seconds: int | None = Field(None, ge=1, description="CPU time of a process over its life; None: no limit")
    processes: int = Field(64, ge=0, description="processes and threads beside the kernel's own")
    file_mb: int = Field(256, ge=1, description="largest file")
    disk_mb: int = Field(1024, ge=1, description="all files together")
    open_files: int = Field(256, ge=64, description="open files of a process")

    def level(self) -> Level:
        """The level in use on this machine.

        Raises:
            InvalidInput: `bubblewrap` is asked for and does not work here, or the system is not supported.
        """
        from reagent_sdk.tools.python import bubblewrap

        if sys.platform == "win32":
            raise InvalidInput("the python tool needs Linux or macOS: Windows has none of the limits it relies on")
        if self.isolation == "process":
            return "process"
        problem = bubblewrap.problem()
        if not problem:
            return "bubblewrap"
        if self.isolation == "bubblewrap":
            raise InvalidInput(f"isolation='bubblewrap' does not work here: {problem}; use 'process' or install bwrap")
        return "process"


class Wall(Frozen):
    """One thing that is or is not enforced on this machine."""

    name: str
    enforced: bool
    by: str = Field(description="what enforces it, or why nothing does")


_LIMITS = {
    "memory": "RLIMIT_AS on each process, and a watch over their sum",
    "processes": "RLIMIT_NPROC",
    "file_size": "RLIMIT_FSIZE, and a watch over the sum of all files",
    "open_files": "RLIMIT_NOFILE",
    "core": "RLIMIT_CORE: no core dumps",
    "cpu": "RLIMIT_CPU",
    "no_new_privileges": "PR_SET_NO_NEW_PRIVS: set-uid programs give nothing",
    "adopts_orphans": "PR_SET_CHILD_SUBREAPER: the supervisor finds and kills what left the session",
}


_SAME_USER = "only root can give one: at the process level, code may signal this user's other processes"


def isolation_report(sandbox: Sandbox | None = None) -> tuple[Wall, ...]:
    """What is enforced on this machine, found out by walling in a real process. Takes some 50 ms."""
    from reagent_sdk.tools.python.kernel import Confined

    chosen = sandbox or Sandbox()
    level = chosen.level()
    probe = Confined(chosen, [sys.executable, "-I", "-S", "-c", "pass"])
    try:
        told = probe.walls()
        return (Wall(name="level", enforced=True, by=level), *_judged(chosen, level, told, own_user=probe.own_uid))
    finally:
        probe.close()


def _judged(sandbox: Sandbox, level: Level, told: Mapping[str, str], *, own_user: bool) -> list[Wall]:
    inside = level == "bubblewrap"

    def wall(name: str, by: str, *needed: str) -> Wall:
        refused = [f"{need} {told.get(need, 'was not tried')}" for need in needed if told.get(need) != "on"]
        return Wall(name=name, enforced=not refused, by=by if not refused else "; ".join(refused))

    other = inside or own_user or told.get("user_namespace") == "on"
    mounts = () if inside else ("mounts", "read_only")
    walls = [
        Wall(name="own user", enforced=own_user, by="a user id of its own" if own_user else _SAME_USER),
        wall("read-only files", "mounts are read-only but for the working folder and private scratch folders", *mounts),
        wall("hidden home", "home and temporary folders are empty ones", *(() if inside else ("hidden_folders",))),
        wall("parent's environment", "another process table, user or namespace than the parent's")
        if other
        else wall("parent's environment", "", "user_namespace"),
        wall("process list", "own /proc", *(() if inside else ("hidden_processes",))),
        Wall(name="network off", enforced=False, by="switched on by network=True")
        if sandbox.network
        else wall("network off", "an empty network namespace", *(() if inside else ("network",))),
    ]
    return walls + [wall(name, by, name) for name, by in _LIMITS.items() if name != "cpu" or sandbox.cpu_seconds]


def surroundings() -> tuple[list[str], list[str]]:
    """Folders to cover with empty ones, and folders that must stay visible below them.

    These are the interpreter, its packages, and the supervisor, wherever this package itself may be installed.
    """
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    given = [Path(path) for path in (sys.prefix, sys.base_prefix, *packages, str(SUPERVISOR))]
    keep = _outermost({path for one in given if one.is_dir() for path in (one, one.resolve())})
    hide = {Path(folder).resolve() for folder in (*scratch(), str(Path.home())) if Path(folder).is_dir()}
    hide |= {closed for path in keep for closed in _closed(path)}
    hide -= {Path("/")}
    return (
        [str(folder) for folder in _outermost(hide) if not any(folder.is_relative_to(path) for path in keep)],
        [str(path) for path in keep],
    )


def scratch() -> list[str]:
    """Folders that anyone may write to: the command gets private ones."""
    return [folder for folder in ("/tmp", "/var/tmp", "/dev/shm") if Path(folder).is_dir()]  # noqa: S108


def base_folder() -> Path:
    """A new folder for one kernel, which other users may pass through but not list."""
    base = Path(tempfile.mkdtemp(prefix="reagent-python-")).resolve()
    base.chmod(0o711)
    return base


def note(base: Path, name: str) -> dict[str, Any]:
    """What the supervisor wrote down; empty where it wrote nothing."""
    try:
        told: dict[str, Any] = json.loads((base / name).read_text())
    except (OSError, ValueError):
        return {}
    return told


def _closed(path: Path) -> list[Path]:
    """The outermost folder on the way to `path` that other users cannot pass."""
    return [folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001][:1]


def _outermost(paths: set[Path]) -> list[Path]:
    return sorted(path for path in paths if not any(other in path.parents for other in paths))
