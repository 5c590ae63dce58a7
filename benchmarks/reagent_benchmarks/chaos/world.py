"""What a run of chaos is made of: the servers, the judge under its address, the agent."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from reagent_benchmarks.chaos.model_server import MODEL
from reagent_benchmarks.chaos.proof import in_form, truthful
from reagent_benchmarks.chaos.servers import MARK, Server, free_port, judge_command, model_command
from reagent_sdk import Attempt, Budget, ModelJudge, Policy, with_critique
from reagent_sdk.clients.base import Sampling
from reagent_sdk.critique_agent import CritiqueAgent
from reagent_sdk.judges.base import Judge
from reagent_sdk.judges.model import JudgeSettings
from reagent_sdk.prompts import JudgePrompt
from reagent_sdk.specs import judge_for

Engine = Literal["scripted", "embedded"]

_SHORT_VERDICT = r"""
root ::= "<analysis>\n" line "\n</analysis>\n<critique>\n" line "\n</critique>\n<score>" score "</score>"
line ::= [A-Za-z ]{4,16}
score ::= "0." [0-9] [0-9] | "1.00"
"""
_SHORT_PROMPT = JudgePrompt("short", "Judge the work in the record: an analysis, a critique, a score from 0 to 1.")
"""Prompt and verdict of some 100 tokens in all. What they say matters to nobody here, that there are many does."""


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        engine: what stands behind the judge's address.
        minutes: time in which runs are started.
        width: runs at a time.
        seed: of kills, faults, delays and the agent.
        kill_every: mean seconds from the moment that a server is ready to its next kill.
        run_seconds: budget of each run.
        folder: where logs go.
    """

    engine: Engine
    minutes: float
    width: int
    seed: int
    kill_every: float
    run_seconds: float
    folder: Path


class World:
    """Servers that are not started yet, at addresses that stay the same.

    Attributes:
        mark: value of the environment variable that all their processes carry.
        judge: the judge server.
        model: the scripted model server behind it; None with the embedded engine.
    """

    def __init__(self, plan: Plan) -> None:
        draw = random.Random(f"{plan.seed}/ports/{os.getpid()}")
        port, behind = free_port(draw), free_port(draw)
        self.mark = uuid4().hex
        kept = {name: value for name, value in os.environ.items() if not name.startswith("REAGENT_")}
        environment = {**kept, MARK: self.mark}
        self._plan = plan
        self._spec = f"http://127.0.0.1:{port}/v1" + (f"#{MODEL}" if plan.engine == "scripted" else "")
        self.model: Server | None = None
        if plan.engine == "scripted":
            judge = judge_command(port, f"http://127.0.0.1:{behind}/v1#{MODEL}")
            self.model = Server(
                "model server",
                lambda start: model_command(behind, f"{plan.seed}/{start}"),
                environment,
                plan.folder / "model_server.log",
            )
        else:
            judge = judge_command(port, "local", "--max-in-flight", str(plan.width), "--context", "2048")
        self.judge = Server("judge server", lambda _: judge, environment, plan.folder / "judge_server.log")

    @property
    def servers(self) -> list[Server]:
        """All of them, the one that others need first."""
        return [self.judge] if self.model is None else [self.model, self.judge]

    @property
    def true_score(self) -> Callable[[Attempt, str], bool]:
        """Whether an attempt's score can be the judge's own."""
        return truthful if self._plan.engine == "scripted" else in_form

    @asynccontextmanager
    async def wrapped(self, agent: Callable[..., object]) -> AsyncIterator[CritiqueAgent[..., object]]:
        """The agent under critique by the judge at its address, as a user writes it; closed after the block."""
        judge: Any = self._spec if self._plan.engine == "scripted" else judge_for(self._spec, adapt=_short)
        made = with_critique(
            agent,
            judge=judge,
            policy=Policy(rounds=2, accept=0.9),
            budget=Budget(seconds=self._plan.run_seconds),
            log=self._plan.folder / "runs.jsonl",
        )
        try:
            yield made
        finally:
            await made.aclose()
            if isinstance(judge, Judge):  # one that was passed in belongs to the caller
                await judge.aclose()


def _short(judge: ModelJudge) -> ModelJudge:
    settings = JudgeSettings(sampling=Sampling(max_tokens=96, grammar=_SHORT_VERDICT))
    return ModelJudge(judge.client, settings, prompt=_SHORT_PROMPT)
