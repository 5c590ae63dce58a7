"""`reagent bench run`, `list` and `table`: agents with and without critique on public benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import SPEC_FORMS, JsonOption, JudgeOption, check_spec, judge_spec
from reagent_sdk.cli.terminal import console, is_live, to_stderr, write_json

if TYPE_CHECKING:
    from reagent_benchmarks.outcomes import ArmResult
    from reagent_benchmarks.running.study import Study

RUN_EXAMPLES = """\b
Examples:
  reagent bench run gsm8k --limit 100 --out gsm8k-local
  reagent bench run gsm8k --agent openai/gpt-5-mini --judge http://127.0.0.1:8001/v1 --arms bare,critique,gated --out g5
  reagent bench run hotpotqa --agent http://127.0.0.1:8000/v1 --corpus wiki.db --data data/hotpotqa --out hotpot
  reagent bench run aime25 --agent openai/gpt-5 --arms bare --judge none --epochs 8 --out aime
  inspect view --log-dir gsm8k-local             # every sample, in inspect_ai's viewer
"""
TABLE_EXAMPLES = """\b
Examples:
  reagent bench table gsm8k-local
  reagent bench table runs/*/ --page results.html
"""
PageOption = Annotated[
    Path | None, typer.Option("--page", metavar="FILE.html", help="Write tables, charts and all runs as one page.")
]
FirstStep = Literal["auto", "required"]
_LOCAL_AT_A_TIME = 2
_SERVED_AT_A_TIME = 16


def run(  # noqa: PLR0913 - one for each option of the command
    name: Annotated[str, typer.Argument(metavar="NAME", help="The benchmark; see `reagent bench list`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for logs and runs. The same again goes on.")],
    agent: Annotated[str, typer.Option(metavar="SPEC", help=f"The agent's model: {SPEC_FORMS}.")] = "local",
    judge: JudgeOption = None,
    arms: Annotated[
        str, typer.Option(metavar="NAME,...", help="bare, critique, always (Reagent-C) and gated.")
    ] = "bare,critique",
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The set's file or folder; by default the hub is asked.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Draw N questions.")] = None,
    epochs: Annotated[int, typer.Option(min=1, metavar="K", help="Ask each question K times, for pass@k.")] = 1,
    seed: Annotated[int, typer.Option(min=0, metavar="S", help="Of the draw, and of local models.")] = 0,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Questions at a time; 2 with local models, else 16.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, metavar="S", help="Time for a question, all its arms together.")
    ] = None,
    tools: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Tools in place of the set's own; `none` for none.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Calls of tools at most.")] = None,
    first_step: Annotated[
        FirstStep, typer.Option(help="`required` makes the first reply call a tool: small models seldom do.")
    ] = "auto",
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of each of the agent's replies.")] = None,
    corpus: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Search this offline corpus; see `reagent corpus build`.")
    ] = None,
    grader: Annotated[
        str | None, typer.Option(metavar="SPEC", help="The model that grades, where a model grades.")
    ] = None,
    page: PageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what critique does for an agent: the same first attempt, with and without it.

    Each question is attempted once, judged once and revised once; the arms differ in what they do with that. Crashes,
    time-outs and servers that give no answer are outcomes of their own and never wrong answers. Give the same command
    again to go on after an interruption, and to try questions again whose server gave no answer.
    """
    from reagent_benchmarks.running.study import Study

    check_spec(agent)
    arguments: dict[str, Any] = {
        "agent": agent,
        "judge": judge if judge == "none" else judge_spec(judge),
        "arms": arms,
        "data": None if data is None else str(data.expanduser().absolute()),
        "questions": limit,
        "seed": seed,
        "seconds": seconds,
        "tools": tools,
        "steps": steps,
        "first_step": first_step,
        "max_tokens": max_tokens,
        "corpus": None if corpus is None else str(corpus.expanduser().absolute()),
        "grader": grader,
    }
    chosen = _checked(name, arguments)
    at_a_time = concurrency or (_LOCAL_AT_A_TIME if _local(agent) else _SERVED_AT_A_TIME)
    study = Study(chosen, out.expanduser(), arguments, epochs, at_a_time)
    _report(_rows(study), study, page, as_json=as_json)


def _checked(name: str, arguments: dict[str, Any]) -> str:
    """The benchmark's name; what cannot work is told before anything is made."""
    from reagent_benchmarks.running.arms import Arm, arms_of
    from reagent_benchmarks.running.making import AgentMaker, AgentPlan, judge_of, tools_of, ungated
    from reagent_benchmarks.suite.registry import benchmark
    from reagent_sdk.errors import InvalidInput

    wanted = benchmark(name)
    if wanted.needs:
        raise InvalidInput(f"{wanted.title} can be loaded but not run: {wanted.needs}")
    if wanted.grader == "llm" and not arguments["grader"]:
        raise InvalidInput(f"a model grades {wanted.title}: name one with --grader SPEC")
    arms = arms_of(arguments["arms"])
    plan = AgentPlan(tools=tools_of(arguments["tools"], wanted.tools), corpus=arguments["corpus"])
    AgentMaker(arguments["agent"], plan)
    if not any(arm.judged for arm in arms):
        return wanted.name
    judge = judge_of(arguments["judge"])
    if judge is None:
        raise InvalidInput("only the bare arm works without a judge: pass --judge SPEC, or --arms bare")
    if Arm.GATED in arms and ungated(judge):
        exits.warn(f"the judge {judge.name} ships no gate and no revision rule, so the gated arm equals critique")
    return wanted.name


def _rows(study: Study) -> list[ArmResult]:
    from reagent_benchmarks.running.study import run as run_study

    try:
        return run_study(study, display="rich" if is_live() else "none")
    except KeyboardInterrupt:
        exits.complain(f"interrupted; what was answered is kept in {study.out}, give the same command again to go on")
        raise typer.Exit(exits.INTERRUPTED) from None


def _report(rows: list[ArmResult], study: Study, page: Path | None, *, as_json: bool) -> None:
    from reagent_benchmarks.outcomes import Outcome

    if not rows:
        exits.complain(f"no question was worked on; `inspect view --log-dir {study.out}` shows what went wrong")
        raise typer.Exit(exits.UNAVAILABLE)
    _tell(rows, page, title=study.name, facts=_facts(study), as_json=as_json)
    to_stderr(f"logs and runs: {study.out}")
    again = sum(row.outcome is Outcome.UNREACHABLE or _unjudged(row) for row in rows)
    if again:
        exits.warn(f"{again} results met a server that gave no answer; give the same command again to try them again")
    if not any(row.outcome.graded for row in rows):
        exits.complain(f"no question has a grade: {rows[0].why}")
        raise typer.Exit(exits.UNAVAILABLE)


def _unjudged(row: ArmResult) -> bool:
    """Whether the judge could not be reached; one that answers nonsense is not asked again."""
    from reagent_sdk.verdict import VerdictStatus

    verdicts = [attempt.verdict for attempt in row.run.attempts if attempt.verdict] if row.run else []
    return any(verdict.status is VerdictStatus.UNAVAILABLE for verdict in verdicts)


def _facts(study: Study) -> dict[str, str]:
    from importlib.metadata import version

    given = {key: str(value) for key, value in study.arguments.items() if value is not None}
    named = {name: f"{name} {version(name)}" for name in ("reagent-sdk", "inspect-ai")}
    return {"benchmark": study.name, **given, "epochs": str(study.epochs), "versions": ", ".join(named.values())}


def _tell(rows: list[ArmResult], page: Path | None, *, title: str, facts: dict[str, str], as_json: bool) -> None:
    """Prints the summary, and writes the page where one is asked for."""
    if page is not None:
        from reagent_benchmarks.page import write_page

        write_page(rows, page.expanduser(), title=title, facts=facts)
        to_stderr(f"page: {page}")
    if as_json:
        from reagent_benchmarks.stats.summary import summarise

        results = [row.model_dump(mode="json", exclude={"run"}) for row in rows]
        write_json({"summaries": [one.model_dump(mode="json") for one in summarise(rows)], "results": results})
        return
    from reagent_benchmarks.stats.table import print_summary

    print_summary(rows, console=console())


def table(
    logs: Annotated[list[Path], typer.Argument(metavar="DIR_OR_LOG...", help="Logs, or folders of them.")],
    page: PageOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the tables of runs that are there; a question that was tried again counts once."""
    from reagent_benchmarks.running.results import results_of
    from reagent_sdk.errors import InvalidInput

    rows = results_of(logs, runs=page is not None)
    if not rows:
        raise InvalidInput(f"there is no finished question in {', '.join(map(str, logs))}; run a benchmark first")
    _tell(rows, page, title=", ".join(sorted({row.benchmark for row in rows})), facts={}, as_json=as_json)


def list_sets(as_json: JsonOption = False) -> None:
    """List the benchmarks: what they ask, how answers are graded, where the questions come from."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from reagent_benchmarks.suite.registry import listing

    found = listing()
    if as_json:
        write_json([one._asdict() for one in found])
        return
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("name", "what", "questions", "grader", "tools", "how to get it"):
        shown.add_column(column, overflow="fold")
    for one in found:
        size = "-" if one.size is None else str(one.size)
        shown.add_row(one.name, one.what, size, one.grader, ", ".join(one.tools) or "-", one.how)
    console().print(shown)


def _local(spec: str) -> bool:
    return spec == "local" or spec.startswith(("local:", "hf:"))
