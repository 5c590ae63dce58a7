"""Who is sampled: models, temperatures and tool sets, each combination an arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.agents import Agent, ModelAgent
from reagent_sdk.cli.options import check_spec
from reagent_sdk.cli.toolset import NAMES, toolset
from reagent_sdk.clients.base import ChatClient, Sampling, runs_here
from reagent_sdk.clients.litellm_client import LiteLLM
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.secrets import redact
from reagent_sdk.specs import LOCAL_MAX_TOKENS, LOCAL_WINDOW_CHARS, client_for
from reagent_sdk.tools.agent import AgentSettings, ToolAgent
from reagent_training.sampling.questions import Question

INSTRUCTIONS = (
    "Solve the task step by step and check your result. End with one line that begins with 'Answer:' and holds the "
    "final answer alone."
)
NO_TOOLS, OWN_TOOLS = "none", "own"


class Arm(Frozen):
    """One way to sample.

    Attributes:
        agent: spec of the model.
        temperature: what it samples with.
        tools: "none", "own" for those that belong to each question, or names with commas.
    """

    agent: str
    temperature: float
    tools: str

    @property
    def name(self) -> str:
        """A short name without keys."""
        return f"{redact(self.agent)}|t{self.temperature:g}|{self.tools}"


def arms_of(agents: Sequence[str], temperatures: Sequence[float], tool_sets: Sequence[str]) -> list[Arm]:
    """All combinations.

    Raises:
        InvalidInput: something is named twice, or a tool is unknown.
    """
    for what, given in (("--agent", agents), ("--temperatures", temperatures), ("--tools", tool_sets)):
        if len(set(given)) < len(given):
            raise InvalidInput(f"{what} names something twice; ask for more --samples instead")
    for names in tool_sets:
        unknown = [] if names in (NO_TOOLS, OWN_TOOLS) else [one for one in names.split(",") if one not in NAMES]
        if unknown:
            raise InvalidInput(f"there is no tool {unknown[0]!r}; there are {', '.join(NAMES)}, or none, or own")
    return [
        Arm(agent=agent, temperature=temperature, tools=tools)
        for agent in agents
        for temperature in temperatures
        for tools in tool_sets
    ]


@dataclass(frozen=True)
class Places:
    """Where tools look things up, and how much a model may write.

    Attributes:
        corpus: searched instead of the web.
        root: the folder whose files the tools may read.
        max_tokens: longest reply; by default what the server allows, for local weights 1,024.
    """

    corpus: Path | None = None
    root: Path = Path()
    max_tokens: int | None = None


class Crew:
    """Makes the agents of all arms over one client for each model.

    Args:
        arms: the arms.
        places: where their tools look.

    Raises:
        InvalidInput: a spec names no model, or a tool cannot be made.
        WeightsUnavailable: local weights are missing.
    """

    def __init__(self, arms: Sequence[Arm], places: Places) -> None:
        self.clients: dict[str, ChatClient] = {}
        for spec in dict.fromkeys(arm.agent for arm in arms):
            check_spec(spec)
            self.clients[spec] = client_for(spec)
        self._max_tokens = places.max_tokens
        named = {arm.tools for arm in arms} - {NO_TOOLS, OWN_TOOLS}
        self._tools: dict[str, list[Any]] = {}
        for names in named:
            corpus = places.corpus if "search" in names or "browse" in names else None
            self._tools[names] = toolset(names, corpus, places.root) or []

    def agent(self, arm: Arm, question: Question, seed: int) -> Agent:
        """An agent for one attempt.

        Raises:
            InvalidInput: the question's tools cannot be made.
        """
        client = self.clients[arm.agent]
        local = runs_here(client)
        sampling = Sampling(
            temperature=arm.temperature,
            max_tokens=self._max_tokens or (LOCAL_MAX_TOKENS if local else None),
            seed=self.sent_seed(arm, seed),
        )
        tools = self._offered(arm, question)
        if tools is None:
            return ModelAgent(client, instructions=INSTRUCTIONS, sampling=sampling)
        window = {"window_chars": LOCAL_WINDOW_CHARS} if local else {}
        return ToolAgent(client, tools, AgentSettings(instructions=INSTRUCTIONS, sampling=sampling, **window))

    def sent_seed(self, arm: Arm, seed: int) -> int | None:
        """The seed that a model is sent; none where it is one of litellm's, because some of its providers refuse it."""
        return None if isinstance(self.clients[arm.agent], LiteLLM) else seed

    def _offered(self, arm: Arm, question: Question) -> list[Any] | None:
        if arm.tools == NO_TOOLS:
            return None
        if question.tools is None:
            return self._tools[arm.tools]
        own = list(question.tools())
        if arm.tools == OWN_TOOLS:
            return own
        return [tool for tool in own if tool.name in arm.tools.split(",")]

    async def aclose(self) -> None:
        """Closes the models."""
        for client in self.clients.values():
            await client.aclose()
