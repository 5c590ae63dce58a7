"""One walled-in process: its folder, its supervisor, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any, Final

from reagent_sdk.tools.python import bubblewrap, strays
from reagent_sdk.tools.python.launch import LAUNCH
from reagent_sdk.tools.python.sandbox import Sandbox, base_folder, note, scratch, surroundings

_OWN_TASKS = 20  # threads of an idle kernel, and room for what its libraries start
_USERS: Final = (1_900_000_000, 1000)  # first id of a range no distribution hands out, and ids a process of ours takes
_numbers = itertools.count()
_START = "import sys; sys.path.append(sys.argv.pop(1)); from confine.supervise import main; main()"


class Confined:
    """A command under supervision, in a folder of its own. It is over with `close()`, or with this process."""

    def __init__(self, sandbox: Sandbox, command: list[str] | None = None) -> None:
        self.sandbox = sandbox
        self.base = base_folder()
        self.work, self.run = self.base / "work", self.base / "run"
        self.key = secrets.token_hex(16)
        self.uid, self.own_uid = _uid()
        try:
            self._prepare()
            self._process = self._start(command or self._kernel_command())
        except BaseException:
            shutil.rmtree(self.base, ignore_errors=True)
            raise
        marker = (self.uid if self.own_uid else None, self.key)
        self._end = weakref.finalize(self, strays.end, self._process, self.base, marker, os.getpid())

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """Sends the whole process group what Ctrl-C sends."""
        with contextlib.suppress(OSError, ValueError):
            os.write(self._orders(), b"i")

    def close(self) -> None:
        """Kills every process of it and removes its folder. Blocks for some milliseconds; may be called again."""
        self._end()

    def walls(self) -> dict[str, str]:
        """What the supervisor could set up, step by step; waits for it."""
        deadline = time.monotonic() + 20
        while not (told := note(self.base, "walls.json")) and self.alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        return told or note(self.base, "walls.json")

    def why_ended(self) -> str:
        """How it ended, in words for the model; known once it is not alive."""
        told = note(self.base, "ended.json")
        why, status = told.get("why"), told.get("status", 0)
        if why is None:
            return "it was killed together with its supervisor"
        if why != "ended":
            return str(why)
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"

    def complaint(self) -> str:
        """The end of what was written to standard error before the kernel could speak for itself."""
        with contextlib.suppress(OSError):
            return (self.base / "errors.txt").read_text(errors="replace").strip()[-1000:]
        return ""

    def fill(self, folder: Path) -> None:
        """Copies a folder's content into the working folder. Only before any foreign code has run in it."""
        shutil.copytree(folder, self.work, dirs_exist_ok=True)
        if self.uid is not None:
            for path in (self.work, *self.work.rglob("*")):
                os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def _orders(self) -> int:
        assert self._process.stdin is not None  # noqa: S101 - started with a pipe
        return self._process.stdin.fileno()

    def _prepare(self) -> None:
        connection = {
            **{f"{name}_port": n for n, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)},
            **{"transport": "ipc", "ip": str(self.run / "k"), "kernel_name": ""},
            **{"key": self.key, "signature_scheme": "hmac-sha256"},
        }
        for folder in (self.work, self.run, self.run / "tmp", self.run / "mpl"):
            folder.mkdir(mode=0o700)
        (self.run / "kernel.json").write_text(json.dumps(connection))
        _share_font_list(self.run / "mpl")
        if self.uid is not None:
            for path in (self.work, self.run, *self.run.rglob("*")):
                os.chown(path, self.uid, self.uid)

    def _kernel_command(self) -> list[str]:
        options = ["--HistoryManager.enabled=False", "--InteractiveShell.colors=nocolor"]
        return [sys.executable, "-c", LAUNCH, "-f", str(self.run / "kernel.json"), *options]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        hide, keep = surroundings()
        inside = self.sandbox.level() == "bubblewrap"
        fields = {"network", "memory_mb", "cpu_seconds", "processes", "file_mb", "disk_mb", "open_files"}
        spec: dict[str, Any] = {
            **self.sandbox.model_dump(include=fields),
            **{"base": str(self.base), "work": str(self.work), "command": command, "own_tasks": _OWN_TASKS},
            **{"hide": hide, "keep": keep, "scratch": scratch(), "namespaces": not inside},
            **{"uid": self.uid, "own_uid": self.own_uid},
        }
        network, memory_mb = self.sandbox.network, self.sandbox.memory_mb
        before = bubblewrap.wrapped(self.base, hide, keep, network=network, memory_mb=memory_mb) if inside else []
        supervisor = [sys.executable, "-I", "-S", "-c", _START, str(Path(__file__).parent), json.dumps(spec)]
        with (self.base / "errors.txt").open("wb") as errors:
            return subprocess.Popen(  # noqa: S603
                [*before, *supervisor],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environment(),
                start_new_session=True,
                cwd="/",
            )

    def _environment(self) -> dict[str, str]:
        """All that the kernel sees: nothing is handed on, so no secret can be."""
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.work),
            "USER": "agent",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.run / "tmp"),
            "IPYTHONDIR": str(self.run / "ipython"),
            "MPLCONFIGDIR": str(self.run / "mpl"),
            "MALLOC_ARENA_MAX": "2",  # each arena takes address space, which is what the memory limit counts
            "PYTHONDONTWRITEBYTECODE": "1",
            strays.MARKER: self.key,
            **single,
        }


def _uid() -> tuple[int | None, bool]:
    """The user for a kernel, and whether it is that kernel's alone. None: the one who runs this process."""
    if os.geteuid() != 0:
        return None, False
    first, count = _USERS
    block = int.from_bytes(secrets.token_bytes(3)) % 200_000
    uid = first + block * count + next(_numbers) % count
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/uid_map").read_text().splitlines():
            start, _, length = (int(word) for word in line.split())
            if start <= uid < start + length:
                return uid, True
        return 65534, False  # a container that maps few users: nobody, shared by all kernels
    return uid, True


def _share_font_list(folder: Path) -> None:
    """Building a list of fonts takes matplotlib : where the user has one, kernels get a copy."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matplotlib"
    for listed in cache.glob("fontlist-*.json"):
        with contextlib.suppress(OSError):
            shutil.copyfile(listed, folder / listed.name)
