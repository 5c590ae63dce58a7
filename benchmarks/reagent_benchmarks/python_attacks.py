"""What hostile code tries against the python tool, and what stops it: `python -m reagent_benchmarks.python_attacks`."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.python.sandbox import Sandbox, isolation_report
from reagent_sdk.tools.python.tool import PythonTool

Level = Literal["auto", "process", "bubblewrap"]
Outcome = tuple[bool, str]
_ALIVE = "print('alive')"
_SHORT = 5.0
"""Time limit of what runs for ever, in seconds: enough for a slow machine to begin it, and to answer after it."""


class Arena:
    """Runs attacking code and looks at the machine afterwards."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.walls = {wall.name: wall for wall in isolation_report(Sandbox(isolation=level))}

    async def run(self, *codes: str, seconds: float = 20.0, **limits: int) -> list[ToolResult]:
        """Runs the codes one after the other in one fresh kernel."""
        sandbox = Sandbox.model_validate({"isolation": self.level, "memory_mb": 512, **limits})
        async with PythonTool(timeout=seconds, sandbox=sandbox).opened() as tool:
            return [await tool.call({"code": code}) for code in codes]

    def enforced(self, name: str) -> bool:
        """Whether this machine has that wall."""
        return self.walls[name].enforced

    def by(self, name: str) -> str:
        """What that wall consists of here."""
        return self.walls[name].by


def outcome(stopped: bool, by: str, *seen: ToolResult) -> Outcome:
    """The outcome, which says what was seen where the attack was not stopped as it should have been."""
    told = "; ".join(f"{result.error or 'no error'}: {result.text[-200:]!r}" for result in seen)
    return stopped, by if stopped else f"not by the {by}, but: {told}"


def running(mark: str) -> list[int]:
    """Processes that have the mark on their command line, and have not ended."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(mark in word for word in words):
            found.append(process.pid)
    return found


async def fork_bomb(arena: Arena) -> Outcome:
    """Fork in a loop; first a bounded one, which shows that the limit holds, and only then an endless one."""
    if not arena.enforced("processes"):
        return False, "not run: no limit on processes here"
    bounded = """
import os, time
made = 0
try:
    for _ in range(150):
        if os.fork() == 0:
            time.sleep(600); os._exit(0)
        made += 1
except BlockingIOError:
    pass
print(made)"""
    (first,) = await arena.run(bounded, processes=16)
    if not first.text.strip().isdigit() or int(first.text) > 40:
        return False, f"the limit did not hold: {first.text[-100:]}"
    endless = "import os\nprint(os.getcwd(), flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    (second,) = await arena.run(endless, processes=16, seconds=2)
    left = running(second.text.split()[0])
    return not left, f"RLIMIT_NPROC, then the time limit; {len(left)} processes left"


async def memory_bomb(arena: Arena) -> Outcome:
    """Allocate until something gives."""
    code = "kept = []\nwhile True: kept.append(bytearray(2**24))"
    bomb, after = await arena.run(code, "kept = None; print('alive')")
    return bomb.error == "MemoryError" and after.text == "alive", "RLIMIT_AS: MemoryError, and the kernel lives on"


async def many_small_bombs(arena: Arena) -> Outcome:
    """Stay below the limit of a process, in many processes."""
    code = """
import os, time
for _ in range(12):
    if os.fork() == 0:
        held = bytearray(os.urandom(2**20) * 100); time.sleep(600)
time.sleep(600)"""
    (bomb,) = await arena.run(code)
    return bomb.error == "KernelDied" and "memory together" in bomb.text, "the supervisor's watch over the sum: killed"


async def endless_loop(arena: Arena) -> Outcome:
    """Loop for ever in Python."""
    bomb, after = await arena.run("while True: pass", _ALIVE, seconds=_SHORT)
    stopped = bomb.error == "TimeoutError" and after.text == "alive"
    return outcome(stopped, "time limit: interrupted, variables kept", bomb, after)


async def endless_c_loop(arena: Arena) -> Outcome:
    """Loop for ever where Python cannot be interrupted."""
    bomb, after = await arena.run("sum(range(10**11))", _ALIVE, seconds=_SHORT)
    stopped = bomb.error == "TimeoutError" and "killed" in bomb.text and after.text == "alive"
    return outcome(stopped, "time limit: killed with its process group, started afresh, said so", bomb, after)


async def deaf_loop(arena: Arena) -> Outcome:
    """Ignore interrupts."""
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    bomb, after = await arena.run(code, _ALIVE, seconds=_SHORT)
    stopped = "killed" in bomb.text and after.text == "alive"
    return outcome(stopped, "time limit: killed after the interrupt was ignored", bomb, after)


async def endless_output(arena: Arena) -> Outcome:
    """Print for ever."""
    before = psutil.Process().memory_info().rss
    bomb, after = await arena.run("while True: print('spam' * 1000)", _ALIVE)
    grown = (psutil.Process().memory_info().rss - before) // 2**20
    small = len(bomb.text) < 21_000 and grown < 200
    # On a busy machine the kernel may reach its memory limit with what it has not sent yet, and die of that first.
    ended = bomb.error in ("OutputLimit", "KernelDied") and after.text == "alive"
    return outcome(ended and small, f"stopped reading; our memory +{grown} MB", bomb, after)


async def sudden_exit(arena: Arena) -> Outcome:
    """Leave without a word."""
    bomb, after = await arena.run("import os; os._exit(1)", _ALIVE)
    return bomb.error == "KernelDied" and after.text == "alive", "noticed, reported with the exit code, started afresh"


async def crash(arena: Arena) -> Outcome:
    """Read from address zero."""
    bomb, after = await arena.run("import ctypes; ctypes.string_at(0)", _ALIVE)
    return "SIGSEGV" in bomb.text and after.text == "alive", "noticed, reported with the signal, started afresh"


async def read_secrets(arena: Arena) -> Outcome:
    """Look for a secret of the parent in every environment that can be read."""
    if not arena.enforced("parent's environment"):
        return False, "not run: " + arena.by("parent's environment")
    secret = secrets.token_hex(12)
    # A process that has it in /proc: changing os.environ does not change what is shown there.
    holder = subprocess.Popen(["sleep", "60"], env={**os.environ, "REAGENT_SECRET": secret})  # noqa: ASYNC220, S607
    code = f"""
import glob, os
wanted = {secret[::-1]!r}[::-1]
found = [name for name, value in os.environ.items() if wanted in value]
paths = glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/task/*/environ')
for path in [*paths, '/proc/{os.getpid()}/environ', '/proc/{holder.pid}/environ']:
    try:
        found += [path] * (wanted.encode() in open(path, 'rb').read())
    except OSError:
        pass
print(found)"""
    os.environ["REAGENT_SECRET"] = secret
    try:
        (tried,) = await arena.run(code)
    finally:
        del os.environ["REAGENT_SECRET"]
        holder.kill()
        holder.wait()
    return (
        tried.text.strip() == "[]",
        f"an environment of its own; {arena.by(chr(39).join(('parent', 's environment')))}",
    )


async def write_outside(arena: Arena) -> Outcome:
    """Write a file wherever it may be possible."""
    if not arena.enforced("read-only files"):
        return False, "not run: " + arena.by("read-only files")
    name = f"reagent-attack-{secrets.token_hex(6)}"
    folders = ["/", "/etc", "/tmp", "/var/tmp", "/dev/shm", str(Path.home()), str(Path.cwd()), sys.prefix]  # noqa: S108
    code = f"""
for folder in {folders!r}:
    try: open(folder + '/{name}', 'w').write('was here')
    except OSError: pass
open('inside.txt', 'w').write('fine')"""
    (tried,) = await arena.run(code)
    written = [folder for folder in folders if (Path(folder) / name).exists()]
    return not written and tried.error is None, f"{arena.by('read-only files')}; outside: {written}"


async def use_network(arena: Arena) -> Outcome:
    """Connect to a server of the parent."""
    if not arena.enforced("network off"):
        return False, "not run: " + arena.by("network off")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        code = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 3)"
        (tried,) = await arena.run(code)
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return tried.error is not None, f"{arena.by('network off')}: {tried.error}"
    return False, "it connected"


async def stay_behind(arena: Arena) -> Outcome:
    """Leave a process in a session of its own, with an empty environment, whose parent is gone."""
    mark = f"stay-{secrets.token_hex(6)}"
    program = "import sys, time; time.sleep(600)"
    code = f"""
import os, subprocess, sys
if os.fork() == 0:
    subprocess.Popen([sys.executable, '-I', '-c', {program!r}, {mark!r}], env={{}}, start_new_session=True)
    os._exit(0)
os.wait()"""
    (tried,) = await arena.run(code)
    left = running(mark)
    return tried.error is None and not left, f"{arena.by('adopts_orphans')}; {len(left)} left"


async def kill_neighbour(arena: Arena) -> Outcome:
    """Kill a process of the parent's user."""
    if not (arena.enforced("own user") or arena.by("level") == "bubblewrap"):
        return False, "not run: " + arena.by("own user")
    victim = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220, S607
    try:
        (tried,) = await arena.run(f"import os; os.kill({victim.pid}, 9)")
        return victim.poll() is None, f"another user, or another process table: {tried.error}"
    finally:
        victim.kill()
        victim.wait()


async def mislead_cleanup(arena: Arena) -> Outcome:
    """Make the clean-up follow links out of the folder, or stumble over rights."""
    with tempfile.TemporaryDirectory() as victim:
        (Path(victim) / "precious.txt").write_text("precious")
        code = f"""
import os
print(os.getcwd())
os.symlink({victim!r}, 'link'); os.makedirs('locked/deep'); os.chmod('locked', 0)"""
        (tried,) = await arena.run(code)
        kept = (Path(victim) / "precious.txt").exists()
        gone = not Path(tried.text.strip()).parent.exists()
    return kept and gone, "links are removed and not followed; the folder is gone"


async def raise_limits(arena: Arena) -> Outcome:
    """Take the limits off."""
    code = """
import resource
for which in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
    try: resource.setrlimit(which, (resource.RLIM_INFINITY,) * 2)
    except ValueError: print('refused')"""
    (tried,) = await arena.run(code)
    return tried.text.split() == ["refused"] * 3, "hard limits: only a privileged process may raise them"


async def become_root(arena: Arena) -> Outcome:
    """Become root, directly and through set-uid programs."""
    code = """
import ctypes, os
for call in (lambda: os.setuid(0), lambda: os.setgroups([0])):
    try: call(); print('done')
    except OSError: print('refused')
print(open('/proc/self/status').read().count('NoNewPrivs:\\t1'))"""
    (tried,) = await arena.run(code)
    return tried.text.split() == ["refused", "refused", "1"], "no rights left, and PR_SET_NO_NEW_PRIVS"


async def fill_disk(arena: Arena) -> Outcome:
    """Write one huge file, then many of allowed size."""
    one = "with open('huge', 'wb') as file:\n    for _ in range(100): file.write(bytes(2**20))"
    many = "for n in range(40): open(f'f{n}', 'wb').write(os.urandom(2**21))\nwhile True: pass"
    first, second = await arena.run(one, f"import os; os.remove('huge')\n{many}", file_mb=8, disk_mb=32)
    stopped = first.error == "OSError" and second.error == "KernelDied" and "files took" in second.text
    return stopped, "RLIMIT_FSIZE, and the supervisor's watch over the sum"


ATTACKS: Final[dict[str, Callable[[Arena], Awaitable[Outcome]]]] = {
    "fork bomb": fork_bomb,
    "memory bomb": memory_bomb,
    "memory bomb in many processes": many_small_bombs,
    "endless loop": endless_loop,
    "endless loop in C": endless_c_loop,
    "endless loop that ignores interrupts": deaf_loop,
    "endless output": endless_output,
    "os._exit": sudden_exit,
    "segmentation fault": crash,
    "reading the parent's environment": read_secrets,
    "writing outside the folder": write_outside,
    "using the network": use_network,
    "a process that stays behind": stay_behind,
    "killing the parent's processes": kill_neighbour,
    "misleading the clean-up": mislead_cleanup,
    "raising the limits": raise_limits,
    "becoming root": become_root,
    "filling the disk": fill_disk,
}


async def run_attacks(level: Level = "auto") -> list[tuple[str, str, bool]]:
    """Tries every attack. For each: its name, what stopped it or why it was not run, and whether it was stopped."""
    arena = Arena(level)
    outcomes = []
    for name, attack in ATTACKS.items():
        stopped, by = await attack(arena)
        outcomes.append((name, by, stopped))
    return outcomes


def main() -> None:
    """Prints the table; fails if anything got through."""
    table = Table("attack", "stopped", "by")
    outcomes = asyncio.run(run_attacks())
    for name, by, stopped in outcomes:
        table.add_row(name, "yes" if stopped else "NO", by)
    Console().print(table)
    sys.exit(not all(stopped for _, _, stopped in outcomes))


if __name__ == "__main__":
    main()
