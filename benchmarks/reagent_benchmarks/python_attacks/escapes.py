"""Code that reaches out of its kernel: for secrets, files, the network, other processes, more rights."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from reagent_benchmarks.python_attacks.arena import Arena, Outcome, running


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
