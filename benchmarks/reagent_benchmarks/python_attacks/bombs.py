"""Code that takes all there is: processes, memory, time, output, disk; and code that takes its kernel down."""

from __future__ import annotations

import psutil  # type: ignore[import-untyped]

from reagent_benchmarks.python_attacks.arena import Arena, Outcome, outcome, running

_ALIVE = "print('alive')"
_SHORT = 5.0
"""Time limit of what runs for ever, in seconds: enough for a slow machine to begin it, and to answer after it."""


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


async def raise_limits(arena: Arena) -> Outcome:
    """Take the limits off."""
    code = """
import resource
for which in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
    try: resource.setrlimit(which, (resource.RLIM_INFINITY,) * 2)
    except ValueError: print('refused')"""
    (tried,) = await arena.run(code)
    return tried.text.split() == ["refused"] * 3, "hard limits: only a privileged process may raise them"


async def fill_disk(arena: Arena) -> Outcome:
    """Write one huge file, then many of allowed size."""
    one = "with open('huge', 'wb') as file:\n    for _ in range(100): file.write(bytes(2**20))"
    many = "for n in range(40): open(f'f{n}', 'wb').write(os.urandom(2**21))\nwhile True: pass"
    first, second = await arena.run(one, f"import os; os.remove('huge')\n{many}", file_mb=8, disk_mb=32)
    stopped = first.error == "OSError" and second.error == "KernelDied" and "files took" in second.text
    return stopped, "RLIMIT_FSIZE, and the supervisor's watch over the sum"
