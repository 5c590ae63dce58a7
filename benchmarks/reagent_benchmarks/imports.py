"""What importing the SDK costs, on top of pydantic: `python -m reagent_benchmarks.imports`."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

STATEMENTS = ("import pydantic; pydantic.BaseModel", "import reagent_sdk", "from reagent_sdk import with_critique")
HEAVY = ("torch", "transformers", "litellm", "aiohttp", "xllamacpp")

_PROBE = """
import sys, time
began = time.perf_counter()
{statement}
print(time.perf_counter() - began, *[name for name in {heavy!r} if name in sys.modules])
"""


def measure(statement: str, repeats: int) -> tuple[float, list[str]]:
    """Seconds that a fresh interpreter needs for a statement (median), and the heavy modules it loaded."""
    times, loaded = [], set()
    for _ in range(repeats):
        code = _PROBE.format(statement=statement, heavy=HEAVY)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
        seconds, *names = done.stdout.split()
        times.append(float(seconds))
        loaded.update(names)
    return statistics.median(times), sorted(loaded)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    table = Table("statement", "seconds (median)", "on top of pydantic", "heavy modules loaded")
    baseline = 0.0
    for statement in STATEMENTS:
        seconds, loaded = measure(statement, repeats)
        baseline = baseline or seconds
        table.add_row(statement, f"{seconds:.3f}", f"{seconds - baseline:+.3f}", ", ".join(loaded) or "none")
    Console().print(table, f"{repeats} fresh interpreters each, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
