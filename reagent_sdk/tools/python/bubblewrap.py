"""The command line of `bwrap`, and whether it works here."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# The supervisor inside needs them to become another user, to kill what runs as that user, and to measure its files and
# memory. The command keeps none.
_RIGHTS = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE")


def wrapped(base: Path, hide: Sequence[str], keep: Sequence[str], *, network: bool, memory_mb: int) -> list[str]:
    """What to put before a command.

    Folders on the way to what is kept are named one by one: bwrap would make them for root alone. There is no
    --die-with-parent: it means the parent's thread, and threads of a pool come and go. The supervisor inside leaves
    when its standard input closes, and takes the process table with it.

    Args:
        base: the one folder that can be written to.
        hide: folders to cover with empty ones.
        keep: folders that stay visible below them, read-only.
        network: whether to leave the network.
        memory_mb: a quarter of it is the size of each scratch folder.
    """
    command = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    size = str(max(16, memory_mb // 4) * 2**20)
    for folder in dict.fromkeys([*hide, "/dev/shm"]):  # noqa: S108
        perms = "1777" if folder in ("/tmp", "/var/tmp", "/dev/shm") else "0755"  # noqa: S108
        command += ["--perms", perms, "--size", size, "--tmpfs", folder]
    for path in keep:
        for folder in hide:
            if Path(path).is_relative_to(folder):
                between = [parent for parent in reversed(Path(path).parents) if Path(folder) in parent.parents]
                command += [word for parent in between for word in ("--perms", "0755", "--dir", str(parent))]
                command += ["--ro-bind", path, path]
    command += ["--bind", str(base), str(base), "--unshare-ipc", "--unshare-pid", "--unshare-uts"]
    if not network:
        command.append("--unshare-net")
    if os.geteuid() == 0:  # who keeps all rights unless told otherwise
        command += ["--cap-drop", "ALL"]
        command += [word for right in _RIGHTS for word in ("--cap-add", right)]
    else:
        command.append("--unshare-user")
    return [*command, "--"]


@functools.cache
def problem() -> str:
    """Why bubblewrap cannot be used; empty where it can. Asked once a process."""
    from reagent_sdk.tools.python import sandbox

    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    base = sandbox.base_folder()
    command = wrapped(base, *sandbox.surroundings(), network=False, memory_mb=64)
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return "" if tried.returncode == 0 else tried.stderr.strip() or f"bwrap ended with {tried.returncode}"
