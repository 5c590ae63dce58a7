"""Runs the tool calls of one model reply: all of them, at once, each result under its own id."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from reagent_sdk import scope, telemetry
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.events import ToolCalled, ToolReturned
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.rendering import clip
from reagent_sdk.tools.base import Tool, ToolResult
from reagent_sdk.tools.wire import INVALID_CALL


async def run_calls(
    calls: Sequence[ToolCall], tools: Mapping[str, Tool], *, seconds: float, max_chars: int
) -> list[Message]:
    """Runs all calls concurrently and returns their results as tool messages, in the order of the calls.

    Args:
        calls: what the model asked for.
        tools: by name.
        seconds: limit for each call; a call that takes longer is cancelled and its result says so.
        max_chars: longest result that is kept; a longer one is cut in the middle and says so.

    Raises:
        BudgetExceeded: a tool that calls a model found the run's budget used up.
    """
    results: list[ToolResult | None] = [None] * len(calls)
    exceeded: list[BudgetExceeded] = []

    async def one(index: int, call: ToolCall) -> None:
        scope.current().emit(ToolCalled(call))
        about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name, "gen_ai.tool.call.id": call.id}
        try:
            with telemetry.span(f"execute_tool {call.name}", "TOOL", about) as told:
                result = await _run(call, tools, seconds)
                told.content(input__value=call.arguments_text, output__value=result.text)
                if result.error:
                    told.failed(result.error)
        except BudgetExceeded as error:  # raised below, outside the task group, which would wrap it
            exceeded.append(error)
            return
        scope.current().emit(ToolReturned(call, result.text, result.error))
        results[index] = result

    async with anyio.create_task_group() as group:
        for index, call in enumerate(calls):
            group.start_soon(one, index, call)
    if exceeded:
        raise exceeded[0]
    return [_message(call, result, max_chars) for call, result in zip(calls, results, strict=True) if result]


def refuse(calls: Sequence[ToolCall], why: str) -> list[Message]:
    """Results that say that the calls were not run."""
    return [_message(call, ToolResult.failed("NotRun", why), 1_000) for call in calls]


async def _run(call: ToolCall, tools: Mapping[str, Tool], seconds: float) -> ToolResult:
    tool = tools.get(call.name)
    if call.name == INVALID_CALL:
        return ToolResult.failed(
            "InvalidToolCall", 'a call must be JSON such as {"name": "...", "arguments": {...}}: ' + _why(call)
        )
    if tool is None:
        return ToolResult.failed("UnknownTool", f"there is no tool {call.name!r}; there are {', '.join(sorted(tools))}")
    arguments = _arguments(call)
    if isinstance(arguments, ToolResult):
        return arguments
    try:
        with anyio.move_on_after(seconds) as limit:
            return await tool.call(arguments)
    except BudgetExceeded:
        raise
    except Exception as error:  # a tool must never end the run; the model hears what went wrong
        return ToolResult.failed(error)
    assert limit.cancelled_caught  # noqa: S101 - the only other way out of the block
    return ToolResult.failed("TimeoutError", f"{call.name} took more than {seconds:g} seconds and was stopped")


def _arguments(call: ToolCall) -> Mapping[str, object] | ToolResult:
    given = call.function.arguments
    if isinstance(given, dict):
        return given
    try:
        parsed = json.loads(given or "{}")
    except (ValueError, RecursionError) as error:
        return ToolResult.failed("InvalidJSON", f"the arguments of {call.name} are not valid JSON: {error}")
    if not isinstance(parsed, dict):
        return ToolResult.failed("InvalidArguments", f"the arguments of {call.name} must be a JSON object")
    return parsed


def _why(call: ToolCall) -> str:
    try:
        json.loads(call.arguments_text)
    except (ValueError, RecursionError) as error:
        return str(error)
    return "it has no name"


def _message(call: ToolCall, result: ToolResult, max_chars: int) -> Message:
    text, _ = clip(result.text, max_chars)
    content: str | list[Any] = text
    if result.images:
        pictures = [{"type": "image_url", "image_url": {"url": url}} for url in result.images]
        content = [{"type": "text", "text": text}, *pictures]
    return Message.model_validate({"role": "tool", "tool_call_id": call.id, "name": call.name, "content": content})
