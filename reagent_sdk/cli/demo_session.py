"""What the demo shows: each run as it happens, whether the answer is right, and a table of all at the end."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reagent_sdk.cli.following import follow
from reagent_sdk.cli.questions import DemoQuestion, contains
from reagent_sdk.cli.rows import row
from reagent_sdk.cli.terminal import clean, is_live, one_line
from reagent_sdk.cli.view import RunView
from reagent_sdk.events import Event, TextDelta
from reagent_sdk.judges.base import caveat_of
from reagent_sdk.local_specs import UNTRAINED
from reagent_sdk.models.shipped import SHIPPED
from reagent_sdk.run import Run

if TYPE_CHECKING:
    from reagent_sdk.critique_agent import CritiqueAgent
    from reagent_sdk.judges.base import Judge

_NEXT = """\
A stronger judge:  REAGENT_JUDGE=http://HOST:PORT/v1 reagent demo
In Python:         agent = reagent_sdk.with_critique(my_agent); agent("...")"""


class DemoSession:
    """The questions of one demo and how they went. Single use.

    Args:
        screen: where to print.
        log: the run log.
        live: whether to draw moving parts, where the terminal can.
    """

    def __init__(self, screen: Console, *, log: Path, live: bool) -> None:
        self.log = log
        self._screen = screen
        self._live = live and is_live()
        self._began = time.monotonic()
        self._first_token: float | None = None
        self._done: list[tuple[DemoQuestion, Run]] = []

    def introduce(self, judge: Judge) -> None:
        """Says plainly what is about to be seen."""
        caveat = caveat_of(judge)
        self._screen.print("The agent is SmolLM2 with 135 million parameters: it runs anywhere and is often wrong.")
        if caveat == UNTRAINED:
            self._screen.print(f"The judge is the same model, loaded once. Mind that {UNTRAINED}.", style="yellow")
            self._screen.print("So this shows how the loop works, and not what a trained judge makes of it.")
            return
        shipped = next((name for name in SHIPPED if f"{name}.gguf" in judge.name), None)
        if shipped is None:
            self._screen.print(f"The judge is {one_line(judge.name)}." + (f" {caveat}" if caveat else ""))
            return
        self._screen.print(f"The judge is {shipped}, an adapter on the same model, which is loaded once.")
        if caveat:
            self._screen.print(f"Mind that {caveat}.", style="yellow")

    async def solve(self, agent: CritiqueAgent[..., Any], question: DemoQuestion, title: str) -> None:
        """Solves one question and shows how."""
        self._screen.print()
        self._screen.rule(Text(title), align="left", style="cyan")
        self._screen.print(one_line(question.text, 2_000), style="bold")
        with RunView(self._screen, live=self._live, notes=False) as view:

            def show(event: Event) -> None:
                if self._first_token is None and isinstance(event, TextDelta):
                    self._first_token = time.monotonic() - self._began
                view.show(event)

            run = await follow(agent, question.text, show)
        self._done.append((question, run))
        answer = run.answer or ""
        self._screen.print(row("answer", Text(one_line(answer) if question.expected else clean(answer).strip())))
        if question.expected is not None:
            found = "contains" if contains(run.answer or "", question.expected) else "does not contain"
            self._screen.print(row("check", Text(f"expected {question.expected}: the answer {found} it")))

    def close(self) -> None:
        """Prints the table, where the runs are and what to do next."""
        self._screen.print()
        self._screen.print(self._table())
        if self._first_token is not None:
            self._screen.print(f"First token after {self._first_token:.1f} s; {self._elapsed:.0f} s in all.")
        self._screen.print(f"Run log: {self.log}", soft_wrap=True)
        self._screen.print("See it again:      reagent runs list; reagent runs show ID")
        self._screen.print(_NEXT, soft_wrap=True)
        sys.stdout.flush()

    def summary(self) -> dict[str, Any]:
        """All of it as data."""
        return {
            "seconds_to_first_token": None if self._first_token is None else round(self._first_token, 3),
            "seconds": round(self._elapsed, 3),
            "questions": [_as_data(question, run) for question, run in self._done],
        }

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("question")
        for name in ("attempts", "scores", "chosen", "seconds", "right?"):
            table.add_column(name, justify="right", no_wrap=True)
        room = max(20, self._screen.width - 54)
        for question, run in self._done:
            right = "-"
            if question.expected is not None:
                right = "yes" if contains(run.answer or "", question.expected) else "no"
            scores = ", ".join("none" if one.score is None else f"{one.score:.2f}" for one in run.attempts)
            chosen = "-" if run.chosen is None else str(run.chosen + 1)
            cells = (one_line(question.text, room), str(len(run.attempts)), scores, chosen, f"{run.seconds:.1f}", right)
            table.add_row(*(Text(cell) for cell in cells))
        return table


def _as_data(question: DemoQuestion, run: Run) -> dict[str, Any]:
    expected = question.expected
    return {
        "question": question.text,
        "expected": expected,
        "answer": run.answer,
        "contains_expected": None if expected is None else contains(run.answer or "", expected),
        "scores": [attempt.score for attempt in run.attempts],
        "chosen": run.chosen,
        "stop": run.stop,
        "seconds": round(run.seconds, 3),
        "run": run.id,
    }
