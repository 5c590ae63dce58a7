"""Questions over tables in files, read with file_reader and reckoned with python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random

from reagent_training.synth.families.desk import Desk
from reagent_training.synth.families.queries import Form, Query
from reagent_training.synth.families.table_forms import FORMS
from reagent_training.synth.families.table_slips import slips_of, with_slip
from reagent_training.synth.families.words import ENDING
from reagent_training.synth.figures import is_tie, near_number, shown, wrong_number
from reagent_training.synth.plan import OUT, Call, Flaw, Plan, Role, Step
from reagent_training.synth.puzzle import Slip
from reagent_training.synth.record import GradingRule, Split, SynthTask

FAMILY = "tables"
_LISTING = ("I look at what files there are.", "First I list the folder.", "Which files are there?")
_READING = ("I read {f}.", "I open {f}.", "The data should be in {f}.", "Now {f}.", "I need {f}.")
_RECKONING = (
    "I copy the rows into Python and compute the result.",
    "With these rows I compute it in Python.",
    "Now I compute the figure from these rows.",
)
_CHECKS = (
    "I check it with other code.",
    "Let me verify that in another way.",
    "I compute it again, written differently.",
)
_CLOSINGS = (
    "That answers the question.",
    "This is what was asked for.",
    "So this is the figure.",
    "That is the result.",
)


@dataclass(frozen=True, slots=True)
class TablePuzzle:
    """A question about a desk with ways to work on it."""

    task: SynthTask
    desk: Desk
    form: Form
    query: Query
    slips: tuple[Slip, ...]

    @property
    def goal(self) -> str:
        """What is asked for."""
        of = self.query.attribute if self.form.joins else self.query.group
        return f"the figure for {of} in {self.query.year}"

    def plan(self, rng: Random, slip: Slip | None = None, *, checked: bool = False) -> Plan:
        """Reads the files and computes."""
        query = with_slip(self.desk, self.query, slip)
        steps = [_listing(rng)] if rng.random() < 0.35 else []
        names = [self.desk.names[query.year]]
        names += [self.desk.names[query.year - 1]] if self.form.compares else []
        names += [self.desk.second] if self.form.joins else []
        steps += self._reading(rng, names, wrong=query.year != self.query.year)
        style = rng.randrange(2)
        computed = self._reckoning(rng, query, style)
        if slip is not None and slip.key != "year":
            computed = replace(computed, flaw=Flaw.WRONG_ARGUMENT)
        span = (len(steps), len(steps) + 1)
        steps.append(computed)
        if checked:
            call = Call("python", {"code": self.form.again(self.desk, query, style + 1)})
            steps.append(Step(rng.choice(_CHECKS), (call,), Role.CHECK, "a second look", f"it prints {OUT} as well"))
        return Plan(tuple(steps), rng.choice(_CLOSINGS), OUT, "", span, f"the rows give {OUT}")

    def detour(self, rng: Random) -> Step:
        """A file that the question does not need."""
        needed = {self.desk.names[self.query.year]}
        needed |= {self.desk.second} if self.form.joins else {self.desk.names[self.query.year - 1]}
        spare = sorted(set(self.task.files) - needed) or [self.desk.second]
        name = rng.choice(spare)
        return Step(f"I have a look at {name} too.", (_read(name),), Role.EXTRA, f"the file {name}")

    def invention(self, rng: Random) -> Step:
        """A file that is not in the folder."""
        stem = self.desk.theme.stem
        names = (f"{stem}_final.csv", f"{stem}_summary.xlsx", f"totals_{self.query.year}.csv", f"all_{stem}.json")
        name = rng.choice(names)
        thought = rng.choice(("{n} should hold the totals already.", "I open {n}.", "The summary is in {n}."))
        return Step(thought.format(n=name), (_read(name),), Role.EXTRA, f"the file {name}")

    def mended(self, rng: Random, step: Step) -> Step:
        """A misspelt file name, or code that raises a NameError."""
        call = step.calls[0]
        if call.tool == "python":
            code = str(call.arguments["code"]).replace("print(", "print(factor * ", 1)
            return replace(step, calls=(Call("python", {"code": code}),), claim="", via="")
        path = str(call.arguments["path"])
        return replace(
            step, calls=(_read(path.replace("_", "-") if "_" in path else f"list_{path}"),), claim="", via=""
        )

    def wrong(self, rng: Random) -> str:
        """Another figure, or another row's id."""
        if self.task.rule.kind == "number":
            return wrong_number(rng, self.task.answer)
        return rng.choice([row.id for row in self.desk.rows[self.query.year] if row.id != self.task.answer])

    def near(self, rng: Random) -> tuple[str, str]:
        """The right figure, carried over badly."""
        if self.task.rule.kind == "number":
            return near_number(rng, self.task.answer)
        return self.wrong(rng), "copies the id of another row"

    def _reading(self, rng: Random, names: list[str], *, wrong: bool) -> list[Step]:
        flaws = [Flaw.WRONG_ARGUMENT if wrong else None, *(None for _ in names[1:])]
        if len(names) > 1 and rng.random() < 0.4:
            calls = tuple(_read(name) for name in names)
            thought = f"I read {' and '.join(names)}."
            return [Step(thought, calls, Role.GATHER, f"the files {' and '.join(names)}", flaw=flaws[0])]
        return [
            Step(rng.choice(_READING).format(f=name), (_read(name),), Role.GATHER, f"the file {name}", flaw=flaw)
            for name, flaw in zip(names, flaws, strict=True)
        ]

    def _reckoning(self, rng: Random, query: Query, style: int) -> Step:
        call = Call("python", {"code": self.form.program(self.desk, query, style)})
        via = rng.choice(("Python gives", "The code prints", "The result is"))
        return Step(rng.choice(_RECKONING), (call,), Role.COMPUTE, self.goal, OUT, via)


def table_puzzle(rng: Random, split: Split, task_id: str, desk: Desk, folder: str) -> TablePuzzle:
    """A question about a desk."""
    form = rng.choice(FORMS[split])
    query = _query(rng, desk)
    while (answer := form.answer(desk, query)) == 0 or (isinstance(answer, Fraction) and is_tie(answer)):
        query = _query(rng, desk)
    files = tuple(sorted((*desk.names.values(), desk.second)))
    told = f"The folder holds {', '.join(files)}."
    rounded = answer if isinstance(answer, str) else shown(Fraction(round(answer * 100), 100))
    task = SynthTask(
        id=task_id,
        family=FAMILY,
        template=form.name,
        split=split,
        difficulty=form.difficulty,
        question=f"{told} {form.question(desk, query, rng.randrange(2))} {ENDING}",
        answer=rounded,
        rule=GradingRule(
            kind="text" if isinstance(answer, str) else "number", tolerance=0.0 if isinstance(answer, str) else 0.0051
        ),
        tools=("file_reader", "python"),
        folder=folder,
        files=files,
    )
    return TablePuzzle(task, desk, form, query, slips_of(desk, form, query))


def _query(rng: Random, desk: Desk) -> Query:
    group = rng.choice(desk.theme.groups)
    values = sorted(row.value for row in desk.rows[desk.year] if row.group == group)
    used = sorted({desk.explained[row.key] for row in desk.rows[desk.year]})
    return Query(desk.year, group, rng.choice(used), values[rng.randrange(len(values) - 1)])


def _listing(rng: Random) -> Step:
    return Step(rng.choice(_LISTING), (_read("."),), Role.EXTRA, "the list of files")


def _read(path: str) -> Call:
    return Call("file_reader", {"path": path})
