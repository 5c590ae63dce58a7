"""Attacks the judge, in pairs: every trajectory is judged as it is and with hostile text in it.

First the format attacks, without any model: exit status 1 if one gets through. Then what padding pushes out of the
window. Then the judge itself, with its defences, with grammar and parser alone, and without any: how far scores move
the attacker's way, how many acceptances flip, beside the judge's own noise (another frame code, nothing else) and
harmless text in the same places. Verdicts go to a file; a second run goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from reagent_benchmarks.judge_attacks import table
from reagent_benchmarks.judge_attacks.arms import arms
from reagent_benchmarks.judge_attacks.attack import Attack
from reagent_benchmarks.judge_attacks.cases import MAX_CHARS, cases
from reagent_benchmarks.judge_attacks.families import ATTACKS, CONTROLS, FAMILIES
from reagent_benchmarks.judge_attacks.figures import figures, planted
from reagent_benchmarks.judge_attacks.proof import prove
from reagent_benchmarks.judge_attacks.runner import Got, Verdicts, judge_all, plan
from reagent_benchmarks.judge_attacks.window import WINDOWS, push
from reagent_benchmarks.judging.datasets import DataSet, load
from reagent_benchmarks.judging.items import JudgedItem
from reagent_sdk.errors import ReagentError

PROVED, PROVED_CHARS = 24, 20_000
"""How many trajectories, and how long ones, the format attacks are proved on: no model reads them."""


def prove_and_show(attacks: Sequence[Attack], items: Sequence[JudgedItem], console: Console) -> bool:
    """The part without a model; whether every format attack is stopped."""
    works = [(item.id, (item.task, item.trajectory)) for item in items]
    on, off = (prove(attacks, works, defended=defended) for defended in (True, False))
    table.show_proof(attacks, on, off, console)
    return not on


def show_windows(attacks: Sequence[Attack], data: Path, console: Console) -> None:
    """What the long attacks push out of AgentProcessBench's wrong trajectories, whose wrong steps are labelled."""
    items = load(DataSet.AGENTPROCESSBENCH, data / DataSet.AGENTPROCESSBENCH.value).items
    wrong = [item for item in items if -1 in item.steps.values()]
    long = [attack for attack in attacks if attack.is_long]
    if long:
        table.show_windows([push(one, wrong, window) for window in WINDOWS for one in (None, *long)], console)


async def judged(attacks: Sequence[Attack], items: Sequence[JudgedItem], args: argparse.Namespace) -> list[Got]:
    """Verdicts on everything that is planned, new ones with a bar on stderr."""
    judges = arms(args.judge, max_tokens=args.max_tokens)
    wanted = plan(items, attacks, per_family=args.per_family, codes=args.codes, seed=args.seed)
    try:
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("verdicts", total=len(wanted))
            return await judge_all(wanted, items, attacks, judges, Verdicts(args.out), lambda _: progress.advance(bar))
    finally:
        for judge in judges.values():
            await judge.aclose()


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", default="local", help="a model under the judge's prompt (default: local)")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("REAGENT_DATA", "../shared/data")))
    parser.add_argument("--trajectories", type=int, default=12, help="half of them wrong, half right")
    parser.add_argument("--max-chars", type=int, default=MAX_CHARS, help="longest rendered trajectory")
    parser.add_argument("--family", choices=FAMILIES, action="append", help="this family only; may be repeated")
    parser.add_argument("--per-family", type=int, default=1, help="attacks of a family on each trajectory; 0 means all")
    parser.add_argument("--codes", type=int, default=2, help="further frame codes that show the judge's own noise")
    parser.add_argument("--threshold", type=float, default=0.5, help="score from which work counts as accepted")
    parser.add_argument("--max-tokens", type=int, default=320, help="longest reply of the judge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, default=Path("judge_attacks.jsonl"), help="verdicts; resumed when it exists"
    )
    parser.add_argument("--no-model", action="store_true", help="only what needs no model")
    parser.add_argument("--list", action="store_true", help="print all attacks and stop")
    return parser.parse_args()


def main() -> None:
    """Runs and prints everything."""
    args, console = read_arguments(), Console()
    attacks = [one for one in ATTACKS if one.family in (args.family or FAMILIES)]
    if args.list:
        table.show_attacks(attacks, console)
        return
    try:
        stopped = prove_and_show(attacks, cases(args.data, PROVED, seed=args.seed, max_chars=PROVED_CHARS), console)
        show_windows(attacks, args.data, console)
        if not args.no_model:
            items = cases(args.data, args.trajectories, seed=args.seed, max_chars=args.max_chars)
            tried = [*attacks, *CONTROLS]
            got = asyncio.run(judged(tried, items, args))
            right = {item.id: item.label for item in items}
            table.show_outcomes(got, console)
            table.show_figures(
                figures(got, tried, right, threshold=args.threshold, seed=args.seed), args.threshold, console
            )
            table.show_planted(planted(got, tried, seed=args.seed), console)
    except ReagentError as error:
        Console(stderr=True).print(f"error: {error}", markup=False)
        sys.exit(2)
    sys.exit(0 if stopped else 1)


if __name__ == "__main__":
    main()
