"""Agents and judges of a study, made from specs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from reagent_benchmarks.running.calls import KeptClient, journal_in_force
from reagent_benchmarks.suite.base import BenchmarkItem
from reagent_sdk.agents import Agent, ModelAgent
from reagent_sdk.clients.base import ChatClient, Sampling, runs_here
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Settings
from reagent_sdk.judges.base import Judge
from reagent_sdk.judges.model import ModelJudge
from reagent_sdk.task import Task
from reagent_sdk.tools.agent import FirstStep

NOBODY = "none"
"""What stands for no judge and for no tools."""


class AgentPlan(Settings):
    """How agents work on the questions of a set."""

    instructions: str = ""
    tools: tuple[str, ...] = ()
    steps: int = 30
    first_step: FirstStep = "auto"
    corpus: str | None = None
    max_tokens: int | None = None
    seed: int = 0


class AgentMaker:
    """Agents that share one model.

    Args:
        agent: a spec, or an agent of your own, which then takes part as it is.
        plan: how they work.

    Raises:
        InvalidInput: the spec has none of the known forms, a tool is unknown, or the corpus cannot be read.
        WeightsUnavailable: local weights are missing.
    """

    def __init__(self, agent: str | Agent, plan: AgentPlan) -> None:
        self._client: ChatClient | None = None
        if isinstance(agent, str):
            self._client = _client(agent)
        else:
            self._own = agent
        self._plan = plan
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tools = [] if self._client is None else self._toolset(Path())

    def for_task(self, task: Task, epoch: int = 1) -> Agent:
        """The agent for one question. Local models sample with another seed in each epoch; servers have their own."""
        if self._client is None:
            return self._own
        from reagent_sdk.specs import LOCAL_MAX_TOKENS, LOCAL_WINDOW_CHARS

        plan, local = self._plan, runs_here(self._client)
        longest = plan.max_tokens or (LOCAL_MAX_TOKENS if local else None)
        sampling = Sampling(max_tokens=longest, seed=plan.seed * 1000 + epoch if local else None)
        if not plan.tools:
            return ModelAgent(self._client, instructions=plan.instructions, sampling=sampling)
        from reagent_sdk.tools.agent import AgentSettings, ToolAgent

        room = {"window_chars": LOCAL_WINDOW_CHARS} if local else {}
        told = {"instructions": plan.instructions, "steps": plan.steps, "first_step": plan.first_step}
        settings = AgentSettings(sampling=sampling, **told, **room)
        return ToolAgent(self._client, self._tools_for(task), settings)

    def _tools_for(self, task: Task) -> list[Any]:
        """The tools; a question with files gets a folder that holds these and nothing else."""
        if not task.attachments:
            return self._tools
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="reagent-bench-")
        item = BenchmarkItem(id=task.id, task=task, references=("-",), group=task.id)
        return self._toolset(item.staged(Path(self._folder.name)) or Path())

    def _toolset(self, root: Path) -> list[Any]:
        from reagent_sdk.cli.toolset import toolset

        if not self._plan.tools:
            return []
        searches = bool({"search", "browse"} & set(self._plan.tools))
        corpus = Path(self._plan.corpus).expanduser() if self._plan.corpus and searches else None
        return toolset(",".join(self._plan.tools), corpus, root) or []


def _client(spec: str) -> ChatClient:
    from reagent_sdk.specs import client_for

    client = client_for(spec)
    return client if journal_in_force() is None else KeptClient(client)


def judge_of(judge: str | Judge | None) -> Judge | None:
    """The judge of a spec; None for "none". In a study its replies are kept, and its frames have the study's secret.

    Raises:
        InvalidInput: as `judge_for`.
        WeightsUnavailable: local weights are missing.
    """
    from reagent_sdk.specs import judge_for

    return None if judge == NOBODY else judge_for(judge, adapt=_keeping)


def _keeping(judge: ModelJudge) -> ModelJudge:
    journal = journal_in_force()
    if journal is None:
        return judge
    return ModelJudge(KeptClient(judge.client), judge.settings, secret=journal.secret, name=judge.name)


def ungated(judge: Judge | None) -> bool:
    """Whether a judge ships neither gate nor revision rule, so that the gated arm equals the critique arm."""
    from reagent_sdk.judges.base import revision_rule

    return judge is not None and judge.gate is None and revision_rule(judge) is None


def tools_of(text: str | list[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """The tools that an option names, as text or as a list: the benchmark's own without it, and none for "none".

    Raises:
        InvalidInput: there is no such tool.
    """
    from reagent_sdk.cli.toolset import NAMES

    if text is None:
        return default
    text = text if isinstance(text, str) else ",".join(text)
    if text.strip() == NOBODY:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in NAMES:
            raise InvalidInput(f"there is no tool {name!r}; there are {', '.join(NAMES)}, or {NOBODY}")
    return names
