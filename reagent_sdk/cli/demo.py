"""`reagent demo`: real questions, a real local model and a real local judge, on any machine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import JsonOption, judge_spec, writable_log
from reagent_sdk.cli.questions import QUESTIONS, DemoQuestion
from reagent_sdk.cli.terminal import console, to_stderr, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from reagent_sdk.cli.demo_session import DemoSession

EXAMPLES = """\b
Examples:
  reagent demo
  reagent demo --question "A jacket costs 80 euros after a 20% discount. What did it cost before?"
  REAGENT_JUDGE=http://127.0.0.1:8001/v1 reagent demo
"""

MAX_TOKENS = 160
"""A small model that does not find an end is stopped here."""


def demo(
    question: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Your own question instead of the built-in ones.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """See the loop at work: a small model in this process answers questions and judges its own answers.

    Fetches the weights on first use (about 95 MB). Needs no key, no server and no GPU.
    """
    from reagent_sdk import home
    from reagent_sdk.cli.demo_session import DemoSession
    from reagent_sdk.errors import InvalidInput

    if question is not None and not question.strip():
        raise InvalidInput("the question is empty")
    questions = QUESTIONS if question is None else (DemoQuestion(question),)
    judge = judge_spec(None)
    log = writable_log(home.runs_file())
    weights = _pull()
    session = DemoSession(console(stderr=as_json), log=log, live=not as_json)
    try:
        asyncio.run(_solve(session, questions, judge))
    except KeyboardInterrupt:
        exits.complain(f"interrupted; the runs so far are in {log}")
        raise typer.Exit(exits.INTERRUPTED) from None
    if as_json:
        write_json(session.summary() | {"weights": weights, "log": log})
    else:
        session.close()


def _pull() -> Path:
    from reagent_sdk import models
    from reagent_sdk.local_specs import DEFAULT_MODEL

    return models.pull(DEFAULT_MODEL, report=to_stderr)


async def _solve(session: DemoSession, questions: tuple[DemoQuestion, ...], judge: str) -> None:
    from reagent_sdk.agents import ModelAgent
    from reagent_sdk.clients.base import Sampling
    from reagent_sdk.specs import client_for, judge_for
    from reagent_sdk.wrap import with_critique

    spoken = judge_for(judge)
    # Clients of one model share one engine: with the local judge the weights are loaded once.
    model = ModelAgent(client_for("local"), sampling=Sampling(temperature=0.0, max_tokens=MAX_TOKENS))
    try:
        async with with_critique(model, judge=spoken, log=session.log) as agent:
            session.introduce(spoken)
            for number, question in enumerate(questions, start=1):
                await session.solve(agent, question, f"Question {number} of {len(questions)}")
    finally:
        await model.aclose()
        await spoken.aclose()
