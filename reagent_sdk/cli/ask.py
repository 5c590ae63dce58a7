"""`reagent ask`: one question, solved, judged and revised."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import JsonOption, JudgeOption, ModelOption, check_spec, judge_spec, writable_log
from reagent_sdk.cli.terminal import clean, console, is_live, to_stdout, write_json
from reagent_sdk.cli.toolset import CorpusOption, RootOption, ToolsOption, toolset

if TYPE_CHECKING:
    from reagent_sdk.budget import Budget
    from reagent_sdk.policy import Policy
    from reagent_sdk.run import Run

EXAMPLES = """\b
Examples:
  reagent ask "What is 17 * 23?"
  reagent ask "..." --model openai/gpt-5 --judge http://127.0.0.1:8001/v1
  reagent ask "..." --accept 0.8 --rounds 3 --max-usd 0.05 --max-seconds 60
  reagent ask "..." --judge calibrated:judge.json --floor 0.3
  reagent ask "..." --model openai/gpt-5 --tools search,browse,python
  cat question.txt | reagent ask - --json | jq -r .answer
"""


def ask(  # noqa: PLR0913 - each is an option of the command line
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="The question; `-` reads it from stdin.", show_default=False)
    ],
    model: ModelOption = "local",
    judge: JudgeOption = None,
    tools: ToolsOption = None,
    corpus: CorpusOption = None,
    root: RootOption = Path(),
    rounds: Annotated[int, typer.Option(min=0, metavar="N", help="Revisions at most.")] = 1,
    accept: Annotated[
        str,
        typer.Option(metavar="X|gate|none", help="Stop at this score; `gate` takes the judge's own, if it ships one."),
    ] = "gate",
    keep: Annotated[Literal["best", "last"], typer.Option(help="The attempt to return.")] = "best",
    floor: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="X", help="Abstain below this score: no answer on stdout, exit code 3."),
    ] = None,
    max_calls: Annotated[int | None, typer.Option(min=1, metavar="N", help="Limit of the run: model calls.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Limit of the run: tokens.")] = None,
    max_usd: Annotated[float | None, typer.Option(metavar="N", help="Limit of the run: US dollars.")] = None,
    max_seconds: Annotated[float | None, typer.Option(metavar="N", help="Limit of the run: seconds.")] = None,
    log: Annotated[Path | None, typer.Option(metavar="PATH", help="Append the run to this log.")] = None,
    no_log: Annotated[bool, typer.Option("--no-log", help="Do not log the run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer a question: solve it, have the attempt judged, revise it, and return the better one.

    Shows the attempts with their scores as they come, and appends the run to the run log. In a pipe, stdout holds the
    answer alone.
    """
    from reagent_sdk import home
    from reagent_sdk.errors import InvalidInput

    if log is not None and no_log:
        raise InvalidInput("--log and --no-log exclude each other")
    text = _question(question)
    policy = _policy(rounds, accept, keep, floor)
    budget = _budget(max_calls, max_tokens, max_usd, max_seconds)
    path = None if no_log else writable_log(log or home.runs_file())
    try:
        run = asyncio.run(_solve(text, (model, judge, toolset(tools, corpus, root)), policy, budget, path))
    except KeyboardInterrupt:
        exits.complain("interrupted" + (f"; the run so far is in {path}" if path else ""))
        raise typer.Exit(exits.INTERRUPTED) from None
    _report(run, path, as_json=as_json)


async def _solve(
    question: str, made_of: tuple[str, str | None, list[Any] | None], policy: Policy, budget: Budget, log: Path | None
) -> Run:
    from reagent_sdk.cli.following import follow
    from reagent_sdk.cli.view import RunView
    from reagent_sdk.wrap import with_critique

    model, judge, tools = made_of
    check_spec(model)
    async with with_critique(
        model, tools=tools, judge=judge_spec(judge), policy=policy, budget=budget, log=log
    ) as agent:
        with RunView(console(stderr=True), live=is_live()) as view:
            return await follow(agent, question, view.show)


def _report(run: Run, log: Path | None, *, as_json: bool) -> None:
    from reagent_sdk.run import RunStatus, StopReason

    shown = console(stderr=True)
    if log is not None:
        shown.print(f"  run {run.id[:8]}, run log {log}", style="dim", soft_wrap=True)
    if run.stop is StopReason.JUDGE_FAILED:
        exits.warn("the judge failed; the answer is the draft it could not judge")
    if as_json:
        write_json({"answer": run.answer, "score": run.score, "status": run.status, "log": log, "run": run})
    if run.status is RunStatus.ABSTAINED:
        exits.complain(f"abstained: the best attempt scored {run.score:.2f}, below the floor of {run.floor:.2f}")
        raise typer.Exit(exits.UNAVAILABLE)
    if as_json:
        return
    if is_live():
        shown.print()
        shown.rule("Answer", align="left", style="bold")
    to_stdout(clean(run.answer or ""))


def _question(given: str) -> str:
    from reagent_sdk.errors import InvalidInput

    text = sys.stdin.read() if given == "-" else given
    if not text.strip():
        raise InvalidInput("the question is empty" + (": nothing came on stdin" if given == "-" else ""))
    return text


def _policy(rounds: int, accept: str, keep: Literal["best", "last"], floor: float | None) -> Policy:
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.policy import Policy

    if accept in ("gate", "none"):
        return Policy(rounds=rounds, accept="gate" if accept == "gate" else None, keep=keep, floor=floor)
    try:
        threshold = float(accept)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise InvalidInput(f"--accept is {accept!r}; write a number from 0 to 1, `gate` or `none`")
    return Policy(rounds=rounds, accept=threshold, keep=keep, floor=floor)


def _budget(calls: int | None, tokens: int | None, usd: float | None, seconds: float | None) -> Budget:
    from math import isfinite

    from reagent_sdk.budget import Budget
    from reagent_sdk.errors import InvalidInput

    for option, value in (("--max-usd", usd), ("--max-seconds", seconds)):
        if value is not None and not (isfinite(value) and value > 0):
            raise InvalidInput(f"{option} is {value}; write a number greater than 0")
    return Budget(calls=calls, tokens=tokens, usd=usd, seconds=seconds)
