"""Whether a fitted rule revises without harm, on MINT's paired runs: `python -m reagent_benchmarks.revision`.

Compared are never revising, always revising (the paper's rule), and rules fitted to scores of the first attempt: one
rule for each agent and data set, one for each agent, or one for all. Every decision comes from a rule that was fitted
on other tasks. "No score" lets a rule choose between always and never only; the oracle's score is the label, so it is
the best that any judge could do.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from reagent_benchmarks.judging.resume import verdicts_file, write_json
from reagent_benchmarks.revision_arms import EVERYTHING, SCOPES, Outcome, decided, outcomes, rules
from reagent_benchmarks.revision_pairs import Pair, read_pairs
from reagent_benchmarks.revision_scores import judged, unjudged
from reagent_sdk.calibration.card import RevisionRule
from reagent_sdk.errors import InvalidInput, ReagentError


def arms_table(title: str, found: Sequence[Outcome]) -> Table:
    """A line for each way to decide, on all pairs."""
    table = Table(
        "decides", "a rule for each", "revised", "fixed", "broken", "net", "accuracy", "gain", "p", title=title
    )
    for decides, scope, part, arm in found:
        if part == EVERYTHING:
            counts = map(str, (arm.revised, arm.fixed, arm.broken, arm.net))
            table.add_row(decides, scope, *counts, str(arm.accuracy), str(arm.gain), f"{arm.p_value:.2g}")
    return table


def parts_table(found: Sequence[Outcome], scope: str) -> Table:
    """A line for each agent and data set: how many are right without revision, and +fixed -broken of each other way."""
    shown = {one.decides: one for one in found if one.rule_for_each in ("", scope) and one.decides != "never"}
    table = Table("agent and data set", "pairs", "right at first", "p of always", *shown)
    table.title = f"+fixed -broken, a rule for each {scope}"
    by_part = {(one.decides, one.part): one.arm for one in found if one.rule_for_each in ("", scope)}
    for part in dict.fromkeys(one.part for one in found):
        never, always = by_part["never", part], by_part["always", part]
        right = round((never.accuracy.value or 0.0) * never.pairs)
        others = (f"+{by_part[name, part].fixed} -{by_part[name, part].broken}" for name in shown)
        table.add_row(part, str(never.pairs), str(right), f"{always.p_value:.2g}", *others)
    return table


def rules_table(fitted: dict[str, RevisionRule], score: str) -> Table:
    """What the rules fitted to all pairs say."""
    table = Table(
        "fitted to all pairs of", "pairs", "revise", "fixed", "broken", "pairs needed", title=f"rules on {score}"
    )
    for part, rule in fitted.items():
        when = "always" if rule.below is None else f"below {rule.below:.2f}" if rule.below else "never"
        needed = "" if rule.below != 0 else str(rule.pairs_needed or "-")
        table.add_row(part, str(rule.pairs), when, str(rule.fixed), str(rule.broken), needed)
    return table


def chosen_parts(pairs: Sequence[Pair], parts: Sequence[str]) -> list[int]:
    """Rows of the named agents and data sets; all rows when none is named.

    Raises:
        InvalidInput: there is no such agent and data set.
    """
    key = SCOPES["agent and data set"]
    known = dict.fromkeys(map(key, pairs))
    if unknown := [part for part in parts if part not in known]:
        raise InvalidInput(f"there are no pairs of {unknown[0]}; there are {', '.join(known)}")
    return [row for row, pair in enumerate(pairs) if not parts or key(pair) in parts]


def main() -> None:
    """Prints the tables and writes the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of MINT's files, or the one above it")
    parser.add_argument("--judge", help="spec of a judge; without one only scores that cost nothing are compared")
    parser.add_argument(
        "--part", action="append", default=[], help="AGENT/DATASET that the judge judges; again for more"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="JSON of all figures; verdicts are kept beside it")
    args = parser.parse_args()
    console = Console(width=140)
    try:
        pairs = read_pairs(args.data)
        rows = chosen_parts(pairs, args.part)
        scores = unjudged(pairs)
        found = outcomes(pairs, decided(pairs, scores, seed=args.seed), seed=args.seed)
        fitted = rules(pairs, scores)
        result = {"all": {"outcomes": [one._asdict() for one in found], "rules": fitted}}
        console.print(arms_table(f"{len(pairs)} pairs", found), parts_table(found, "agent"))
        console.print(rules_table(fitted["no score"], "no score"))
        if args.judge:
            some = [pairs[row] for row in rows]
            heard = asyncio.run(judged(some, args.judge, verdicts_file(args.out), seed=args.seed))
            scores = {name: values[rows] for name, values in scores.items()} | {args.judge: heard}
            found = outcomes(some, decided(some, scores, seed=args.seed), seed=args.seed)
            fitted = rules(some, scores)
            result["judged"] = {"outcomes": [one._asdict() for one in found], "rules": fitted}
            title = f"{len(some)} pairs judged by {args.judge}, {int(np.isnan(heard).sum())} without a score"
            console.print(arms_table(title, found), parts_table(found, "agent"))
            console.print(rules_table(fitted[args.judge], args.judge))
        write_json(args.out, {"seed": args.seed, "judge": args.judge, **result})
    except ReagentError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
