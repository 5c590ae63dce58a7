"""The forms of questions about tables, with their answers worked out from the rows themselves."""

from __future__ import annotations

from fractions import Fraction

from reagent_training.synth.families.desk import Desk, Row
from reagent_training.synth.families.queries import Form, Query
from reagent_training.synth.record import Split


def _of(desk: Desk, query: Query, year: int | None = None) -> list[Row]:
    return [row for row in desk.rows[year or query.year] if row.group == query.group]


def _sum(desk: Desk, query: Query) -> Fraction:
    return Fraction(sum(row.value for row in _of(desk, query)))


def _count(desk: Desk, query: Query) -> Fraction:
    return Fraction(sum(1 for row in _of(desk, query) if row.value > query.limit))


def _share(desk: Desk, query: Query) -> Fraction:
    return _sum(desk, query) / sum(row.value for row in desk.rows[query.year]) * 100


def _joined(desk: Desk, query: Query) -> Fraction:
    rows = desk.rows[query.year]
    return Fraction(sum(row.value for row in rows if desk.explained[row.key] == query.attribute))


def _change(desk: Desk, query: Query) -> Fraction:
    return _sum(desk, query) - sum(row.value for row in _of(desk, query, query.year - 1))


def _mean(desk: Desk, query: Query) -> Fraction:
    return _sum(desk, query) / len(_of(desk, query))


def _top(desk: Desk, query: Query) -> str:
    return max(_of(desk, query), key=lambda row: row.value).id


def _longest(desk: Desk, query: Query) -> Fraction:
    rows = desk.rows[query.year]
    return Fraction(max((row.value for row in rows if desk.explained[row.key] == query.attribute), default=0))


FORMS = {
    Split.TRAIN: (
        Form(
            "filter_sum",
            1,
            (
                "What is the total of {value} in {year} for the {group} {g}?",
                "Add up {value} of all rows of {year} whose {group} is {g}. What is the sum?",
            ),
            (
                'print(sum(n for _, g, _, n in rows if g == "{g}"))',
                'total = 0\nfor row in rows:\n    if row[1] == "{g}":\n        total += row[3]\nprint(total)',
            ),
            _sum,
        ),
        Form(
            "filter_count",
            1,
            (
                "How many rows of {year} have the {group} {g} and more than {limit} {value}?",
                "In {year}, how many entries with {group} {g} lie above {limit} {value}?",
            ),
            (
                'print(len([n for _, g, _, n in rows if g == "{g}" and n > {limit}]))',
                'print(sum(row[1] == "{g}" and row[3] > {limit} for row in rows))',
            ),
            _count,
        ),
        Form(
            "share",
            2,
            (
                "What percentage of all {value} in {year} belongs to the {group} {g}? Round to two decimals.",
                "Of the {value} of {year}, how many percent fall to {group} {g}? Round to two decimals.",
            ),
            (
                'part = sum(n for _, g, _, n in rows if g == "{g}")\n'
                "print(round(100 * part / sum(row[3] for row in rows), 2))",
                'one = [row[3] for row in rows if row[1] == "{g}"]\nwhole = [row[3] for row in rows]\n'
                "print(round(sum(one) / sum(whole) * 100, 2))",
            ),
            _share,
        ),
        Form(
            "join_sum",
            2,
            (
                "What is the total of {value} in {year} over every {key} whose {attribute} is {a}?",
                "Another table names a {attribute} for each {key}. How many {value} of {year} belong to {a}?",
            ),
            (
                'print(sum(n for _, _, k, n in rows if {attribute}[k] == "{a}"))',
                'total = 0\nfor row in rows:\n    if {attribute}[row[2]] == "{a}":\n        total += row[3]\n'
                "print(total)",
            ),
            _joined,
            joins=True,
        ),
        Form(
            "change",
            3,
            (
                "By how much did the total of {value} for the {group} {g} change from {before} to {year}? A fall is "
                "negative.",
                "Subtract the {value} of {group} {g} in {before} from those in {year}. What comes out?",
            ),
            (
                'print(sum(r[3] for r in rows if r[1] == "{g}") - sum(r[3] for r in before if r[1] == "{g}"))',
                'now = sum(n for _, g, _, n in rows if g == "{g}")\n'
                'then = sum(n for _, g, _, n in before if g == "{g}")\nprint(now - then)',
            ),
            _change,
            compares=True,
        ),
    ),
    Split.TEST: (
        Form(
            "filter_mean",
            1,
            (
                "What is the mean of {value} for the {group} {g} in {year}? Round to two decimals.",
                "Average {value} over the entries of {year} with {group} {g}, rounded to two decimals.",
            ),
            (
                'found = [n for _, g, _, n in rows if g == "{g}"]\nprint(round(sum(found) / len(found), 2))',
                'from statistics import mean\nprint(round(mean(row[3] for row in rows if row[1] == "{g}"), 2))',
            ),
            _mean,
        ),
        Form(
            "filter_top",
            2,
            (
                "Which {entry} of the {group} {g} has the largest {value} in {year}? Give its id.",
                "Find the {entry} with the most {value} among those of {group} {g} in {year}, and give its id.",
            ),
            (
                'print(max((n, i) for i, g, _, n in rows if g == "{g}")[1])',
                'found = [row for row in rows if row[1] == "{g}"]\nprint(sorted(found, key=lambda row: row[3])[-1][0])',
            ),
            _top,
        ),
        Form(
            "join_max",
            3,
            (
                "What is the largest {value} of a single {entry} in {year} over every {key} whose {attribute} is {a}?",
                "Among the entries of {year} whose {key} has the {attribute} {a}, what is the highest {value}?",
            ),
            (
                'print(max([n for _, _, k, n in rows if {attribute}[k] == "{a}"], default=0))',
                'best = 0\nfor row in rows:\n    if {attribute}[row[2]] == "{a}":\n        best = max(best, row[3])\n'
                "print(best)",
            ),
            _longest,
            joins=True,
        ),
    ),
}
