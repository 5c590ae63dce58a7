"""What runs in the sandbox's kernel: code and tests in a process of their own, whose end cannot be faked by printing.

The process gets the code first. Only when that has run does it get the tests and a word to say after them, which no
earlier line of the code could have read. Exiting early, in any way, leaves the word unsaid.
"""

from __future__ import annotations

import secrets
from typing import Final

_CHILD: Final = """
import json, os, sys

def main():
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = os.fdopen(os.dup(0), "r")
    os.close(0)
    os.open(os.devnull, os.O_RDONLY)
    space = {"__name__": "__main__"}
    exec(compile(json.loads(asked.readline()), "answer.py", "exec"), space)
    said.write("loaded\\n"); said.flush()
    tests, word = json.loads(asked.readline())
    before = set(space)
    exec(compile(tests, "tests.py", "exec"), space)
    for name in [name for name in space if name not in before]:
        one = space[name]
        if name.startswith("test_") and callable(one):
            one()
        elif isinstance(one, type) and any(base.__name__ == "TestCase" for base in one.__mro__):
            import unittest
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(one)
            result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
            assert result.wasSuccessful() and result.testsRun, "unittest failed"
    said.write(word + "\\n"); said.flush()

main()
"""

_DRIVER: Final = """
def _graded(child, code, tests, word, mark, seconds):
    import json, subprocess, sys, tempfile, threading
    errors = tempfile.TemporaryFile()
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", child], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
    )
    late = []
    clock = threading.Timer(seconds, lambda: (late.append(1), process.kill()))
    clock.start()
    passed = False
    try:
        process.stdin.write(json.dumps(code) + "\\n"); process.stdin.flush()
        if process.stdout.readline(100) == "loaded\\n":
            process.stdin.write(json.dumps([tests, word]) + "\\n"); process.stdin.flush()
            passed = process.stdout.readline(100) == word + "\\n"
    except OSError:
        pass
    if passed:
        process.kill()
    status = process.wait()
    clock.cancel()
    errors.seek(max(0, errors.seek(0, 2) - 2000))
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    why = f"stopped after {seconds:g} seconds" if late else (lines[-1] if lines else f"it ended with status {status}")
    print("\\n" + mark + json.dumps({"passed": passed and not late, "why": why[-300:]}))
"""


def driver(code: str, tests: str, *, mark: str, seconds: float) -> str:
    """The cell that runs code with tests and prints a line of JSON behind a mark: `passed`, and `why` it did not."""
    word = secrets.token_hex(16)
    return f"{_DRIVER}\n_graded({_CHILD!r}, {code!r}, {tests!r}, {word!r}, {mark!r}, {seconds!r})"


def control() -> str:
    """Code that is right for the test `pass`: it tells a dead sandbox from code that kills one."""
    return "done = True"
