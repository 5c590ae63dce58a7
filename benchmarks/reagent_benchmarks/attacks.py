"""Attacks on the tools in one table: `python -m reagent_benchmarks.attacks`. Exit status 1 if any gets through.

The servers, files and kernels are real and on this machine; nothing leaves it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from rich.console import Console
from rich.table import Table

from reagent_benchmarks import file_attacks, python_attacks, web_attacks

Outcome = tuple[str, str, bool]
SUITES: dict[str, Callable[[], Awaitable[list[Outcome]]]] = {
    "browse": web_attacks.run_attacks,
    "file_reader, image2text, audio2text": file_attacks.run_attacks,
    "python": python_attacks.run_attacks,
}


async def run_suites(names: list[str], console: Console) -> dict[str, list[Outcome]]:
    """Runs the suites one after the other: several at once would disturb each other's memory and time limits."""
    outcomes = {}
    for name in names:
        with console.status(f"attacking {name}"):
            outcomes[name] = await SUITES[name]()
    return outcomes


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(SUITES), action="append", help="run this suite; may be repeated")
    names = parser.parse_args().only or list(SUITES)
    outcomes = asyncio.run(run_suites(names, Console(stderr=True)))
    table = Table("tool", "attack", "what stopped it", "stopped", expand=True)
    for name, rows in outcomes.items():
        for attack, stopper, stopped in rows:
            table.add_row(name.split(",")[0], attack, stopper, "yes" if stopped else "[bold red]NO[/]")
    console = Console()
    console.print(table)
    total = sum(len(rows) for rows in outcomes.values())
    through = sum(not stopped for rows in outcomes.values() for _, _, stopped in rows)
    console.print(f"{total - through} of {total} attacks stopped")
    sys.exit(1 if through else 0)


if __name__ == "__main__":
    main()
