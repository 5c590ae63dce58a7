"""A tool-calling agent over any chat client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal, TypeAlias

import anyio
from pydantic import Field

from reagent_sdk.agents import Feedback, Work, conversation, evidence
from reagent_sdk.clients.base import ChatClient, Completion, Sampling, runs_here
from reagent_sdk.errors import AgentError, ContextOverflow, InvalidInput
from reagent_sdk.frozen import Settings
from reagent_sdk.messages import Message, system, user
from reagent_sdk.task import Task
from reagent_sdk.tools.base import Tool, ToolSource, opened
from reagent_sdk.tools.calls import refuse, run_calls
from reagent_sdk.tools.critic import CALL_CRITIC, CriticTool
from reagent_sdk.tools.define import as_tool
from reagent_sdk.tools.window import fit, fit_below, size
from reagent_sdk.tools.wire import NativeWire, TextWire, ToolChoice, Wire
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_sdk.usage import Usage

FINAL = "You cannot call any more tools. Give your final answer now, in words, from what you know."


FirstStep: TypeAlias = Literal["auto", "required"]


class AgentSettings(Settings):
    """How a tool-calling agent works, and the limits of one attempt."""

    instructions: str = ""
    sampling: Sampling = Sampling()
    protocol: Literal["auto", "native", "text"] = Field(
        "auto", description="how tool calls travel; 'auto' writes them as text for local weights"
    )
    first_step: FirstStep = Field(
        "auto", description="'required' makes the first step call a tool: small models seldom do so by themselves"
    )
    steps: int = Field(30, ge=1, description="model calls that may use tools; one more asks for the final answer")
    tokens: int | None = Field(None, ge=1, description="prompt and completion tokens after which no tool is run")
    seconds: float | None = Field(None, gt=0, description="seconds after which no tool is run")
    tool_seconds: float = Field(120.0, gt=0, description="limit for each tool call")
    max_result_chars: int = Field(20_000, ge=200, description="longest tool result that is kept")
    window_chars: int = Field(96_000, ge=1_000, description="room of the model's window, in characters")
    self_critique: bool = Field(False, description="offer the judge as a tool, `call_critic`")
    critique_every: int | None = Field(None, ge=1, description="steps after which the judge's critique is put in")


class ToolAgent:
    """Solves a task with tools: the model calls, the tools answer, until it answers in words.

    All calls of a reply run at once, and every result comes back under its id. A call that fails is a result that says
    what went wrong. When a limit is reached, the calls that are still asked for are refused in so many words, and the
    model is asked once for its final answer. A revision goes on from the previous attempt's conversation, so what the
    tools found is not lost.

    Args:
        client: the model; closed together with the agent.
        tools: tools, typed functions or pydantic models with a `__call__`.
        settings: instructions, sampling, protocol and limits.

    Raises:
        InvalidInput: something is not a tool, or two tools have one name.
    """

    def __init__(self, client: ChatClient, tools: Sequence[Any] = (), settings: AgentSettings | None = None) -> None:
        self.client = client
        self.settings = settings or AgentSettings()
        self.tools = tuple(given if isinstance(given, ToolSource) else as_tool(given) for given in tools)
        _by_name([tool for tool in self.tools if not isinstance(tool, ToolSource)])
        as_text = self.settings.protocol == "text" or (self.settings.protocol == "auto" and runs_here(client))
        self._wire: Wire = TextWire() if as_text else NativeWire()

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Makes one attempt.

        Raises:
            ModelError: a model call failed.
            AgentError: the model gave no answer, even when asked for it.
            BudgetExceeded: the run's budget ran out before there was an answer.
        """
        messages = conversation(task, feedback)
        if self.settings.instructions and messages[0].role != "system":
            messages.insert(0, system(self.settings.instructions))
        carried = evidence(feedback)
        return await _Attempt(self, task, messages, carried).solve()

    @asynccontextmanager
    async def open_tools(self) -> AsyncIterator[dict[str, Tool]]:
        """The tools of one attempt, by name; those with state of their own are fresh."""
        async with AsyncExitStack() as stack:
            tools: list[Tool] = []
            for given in self.tools:
                if isinstance(given, ToolSource):
                    tools += await stack.enter_async_context(given.opened_tools())
                else:
                    tools.append(await stack.enter_async_context(opened(given)))
            yield _by_name(tools)

    async def complete(
        self, messages: Sequence[Message], tools: Sequence[Tool], *, choice: ToolChoice = "auto"
    ) -> Completion:
        """One model call, with the oldest tool results left out where the window asks for it.

        Raises:
            ContextOverflow: the conversation does not fit even so.
            ModelError: the call failed.
        """
        room = self.settings.window_chars
        fitted = fit(messages, room)
        while True:
            sent, sampling = self._wire.request(fitted, tools, self.settings.sampling, choice=choice)
            try:
                reply = await self.client.complete(sent, sampling)
            except ContextOverflow:
                room = min(room, size(fitted)) // 2
                shorter = fit_below(messages, room, size(fitted))
                if shorter is None:
                    raise
                fitted = shorter
                continue
            return reply.model_copy(update={"message": self._wire.reply(reply.message)})

    async def aclose(self) -> None:
        """Closes the model."""
        await self.client.aclose()


class _Attempt:
    """One attempt under way."""

    def __init__(self, agent: ToolAgent, task: Task, messages: list[Message], carried: tuple[Message, ...]) -> None:
        self._agent = agent
        self._settings = agent.settings
        self._task = task
        self._messages = messages
        self._start = len(messages)
        self._carried = carried
        self._usage = Usage()
        self._deadline = anyio.current_time() + (self._settings.seconds or float("inf"))

    async def solve(self) -> Work:
        critic = CriticTool(self._task, lambda: self._trajectory("(not finished)"))
        async with self._agent.open_tools() as tools:
            if self._settings.self_critique:
                tools[CALL_CRITIC] = critic
            for step in range(1, self._settings.steps + 1):
                must = step == 1 and self._settings.first_step == "required" and tools
                reply = await self._ask(tools, choice="required" if must else "auto")
                if not reply.message.tool_calls:
                    if not reply.text.strip():
                        break  # said nothing: asked for its answer below
                    return self._work(reply, AgentStop.COMPLETED)
                if limit := self._limit_reached():
                    self._messages += refuse(reply.message.tool_calls, f"{limit}; no further tool is run")
                    break
                self._messages += await run_calls(
                    reply.message.tool_calls,
                    tools,
                    seconds=self._settings.tool_seconds,
                    max_chars=self._settings.max_result_chars,
                )
                if self._settings.critique_every and step % self._settings.critique_every == 0:
                    await self._put_in(critic)
            return await self._final_answer(tools)

    async def _ask(self, tools: Mapping[str, Tool], *, choice: ToolChoice = "auto") -> Completion:
        reply = await self._agent.complete(self._messages, list(tools.values()), choice=choice)
        self._usage += reply.usage
        self._messages.append(reply.message)
        return reply

    async def _final_answer(self, tools: Mapping[str, Tool]) -> Work:
        """Asks once, in so many words, for the answer; all results so far stay where they are."""
        self._messages.append(user(FINAL))
        reply = await self._ask(tools, choice="none")
        if reply.message.tool_calls:
            self._messages += refuse(reply.message.tool_calls, "the limit is reached; no further tool is run")
        return self._work(reply, AgentStop.STEP_LIMIT)

    async def _put_in(self, critic: CriticTool) -> None:
        """Windowed intervention: the judge's critique of the work so far, as a message."""
        critique = await critic.critique()
        if critique:
            self._messages.append(user(f"A reviewer read your work so far and says:\n---\n{critique}\n---\nGo on."))

    def _limit_reached(self) -> str | None:
        if self._settings.tokens is not None and self._usage.known_tokens >= self._settings.tokens:
            return "the token limit of this attempt is reached"
        if anyio.current_time() >= self._deadline:
            return "the time limit of this attempt is reached"
        return None

    def _work(self, reply: Completion, stop: AgentStop) -> Work:
        answer = reply.text.strip()
        if not answer:
            cut = ": its output was cut off by the token limit" if reply.truncated else ""
            raise AgentError(f"{self._agent.client.name} gave no answer{cut}")
        trajectory = self._trajectory(answer, AgentStop.TRUNCATED if reply.truncated else stop)
        return Work(trajectory, answer if self._task.given_as_text else reply.message.to_openai())

    def _trajectory(self, answer: str, stop: AgentStop = AgentStop.UNKNOWN) -> Trajectory:
        done = (*self._carried, *self._messages[self._start :])
        return Trajectory(messages=done, answer=answer, stop=stop, usage=self._usage)


def _by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    named = {tool.name: tool for tool in tools}
    if len(named) < len(tools) or CALL_CRITIC in named:
        names = [CALL_CRITIC, *(tool.name for tool in tools)]
        twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
        raise InvalidInput(f"two tools share the name {twice}; rename one with @tool(name=...)")
    return named
