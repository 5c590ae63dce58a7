"""The real tools, kept open for many plans: one Python kernel, the files of a folder, the pages of a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import anyio

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.tools import BrowseTool, FileReader, PythonTool, SearchTool
from reagent_sdk.tools.base import Tool
from reagent_sdk.tools.calls import run_calls
from reagent_sdk.tools.corpus.search import CorpusSearch
from reagent_training.synth.plan import OUT, Call, Plan, Role, Step
from reagent_training.synth.record import SynthTask
from reagent_training.synth.toolset import SNIPPET_CHARS

_SECONDS = 120.0
_MOST_CHARS = 6_000
_PLANS_A_KERNEL = 200
_REMEMBER = "get_ipython()._first = set(get_ipython().user_ns)"
_FRESH = """
for _name in [name for name in get_ipython().user_ns if name not in get_ipython()._first]:
    del get_ipython().user_ns[_name]
get_ipython().execution_count = 1
"""
"""Clears the kernel's variables and its count of cells, which tracebacks show: a plan finds it as if it were new.
IPython's own reset does the same at ten times the price."""


class RepeatableBrowse(BrowseTool):
    """The browse tool with a fixed secret for its marker lines: the same page is framed the same way in every run."""

    def __init__(self, corpus: CorpusSearch) -> None:
        super().__init__(open_url=corpus.open)
        self._secret = b"synthetic pages hold nothing hostile"


@dataclass(frozen=True, slots=True)
class Work:
    """A plan that was carried out.

    Attributes:
        messages: assistant messages and tool results; the last one is the final answer.
        answer: text of the final answer.
        places: index of the message of each step; None for a step without calls.
        outputs: last lines that the python tool printed.
    """

    messages: tuple[Message, ...]
    answer: str
    places: tuple[int | None, ...]
    outputs: tuple[str, ...]


class Workbench:
    """Carries plans out, one at a time.

    Args:
        root: the folder of the set; folders and corpora of tasks lie below it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._python: Tool | None = None
        self._kernel = AsyncExitStack()
        self._used = 0
        self._readers: dict[str, FileReader] = {}
        self._corpora: dict[str, dict[str, Tool]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kernel.aclose()

    async def warm(self, folder: str, names: tuple[str, ...]) -> None:
        """Reads a folder's files ahead, at the same time; each takes a process of its own."""
        reader = self._reader(folder)
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(reader.call, {"path": name})

    async def carry_out(self, task: SynthTask, plan: Plan) -> Work:
        """Runs all calls of a plan and writes down what an agent would have said and seen.

        Raises:
            InvalidInput: the python tool could not be used at all, or the plan needs an output that is not there.
        """
        tools = await self._tools(task)
        messages: list[Message] = []
        places: list[int | None] = []
        outputs: list[str] = []
        pending, count = "", 0
        for step in plan.steps:
            pending = f"{pending} {step.thought}".strip()
            if step.calls:
                calls = [_tool_call(call, count + place) for place, call in enumerate(step.calls, start=1)]
                count += len(calls)
                places.append(len(messages))
                messages.append(Message(role="assistant", content=pending, tool_calls=tuple(calls)))
                results = await run_calls(calls, tools, seconds=_SECONDS, max_chars=_MOST_CHARS)
                messages += results
                outputs += _printed(step, results)
                pending = ""
            else:
                places.append(None)
            pending = f"{pending} {_with(step.found, outputs)}".strip()
        answer = f"{pending} {plan.closing}".strip() + f"\nAnswer: {_with(plan.answer, outputs)} {plan.unit}".rstrip()
        messages.append(Message(role="assistant", content=answer))
        return Work(tuple(messages), answer, tuple(places), tuple(outputs))

    async def _tools(self, task: SynthTask) -> Mapping[str, Tool]:
        tools: dict[str, Tool] = {}
        if "python" in task.tools:
            tools["python"] = await self._fresh_python()
        if task.folder is not None:
            tools["file_reader"] = self._reader(task.folder)
        if task.corpus is not None:
            tools |= self._corpus(task.corpus)
        return tools

    async def _fresh_python(self) -> Tool:
        if self._python is None or self._used >= _PLANS_A_KERNEL:
            await self._kernel.aclose()
            self._kernel, self._used = AsyncExitStack(), 0
            self._python = await self._kernel.enter_async_context(PythonTool(timeout=_SECONDS).opened())
            await self._python.call({"code": _REMEMBER})
        self._used += 1
        result = await self._python.call({"code": _FRESH})
        if result.error:
            raise InvalidInput(f"the python tool cannot be used here: {result.text[:200]}")
        return self._python

    def _reader(self, folder: str) -> FileReader:
        if folder not in self._readers:
            self._readers[folder] = FileReader(self._root / folder)
        return self._readers[folder]

    def _corpus(self, corpus: str) -> dict[str, Tool]:
        if corpus not in self._corpora:
            provider = CorpusSearch(self._root / corpus, snippet_chars=SNIPPET_CHARS)
            search = SearchTool(provider, snippet_chars=SNIPPET_CHARS)
            self._corpora = {corpus: {"search": search, "browse": RepeatableBrowse(provider)}}
        return self._corpora[corpus]


def _tool_call(call: Call, number: int) -> ToolCall:
    return ToolCall.make(call.tool, dict(call.arguments), id=f"call_{number}")


def _printed(step: Step, results: list[Message]) -> list[str]:
    """The last line of a computation's result; nothing of one that failed, and nothing of calls beside the point."""
    if step.role not in (Role.COMPUTE, Role.CHECK) or not step.claim:
        return []
    calls: Any = zip(step.calls, results, strict=True)
    return [result.text.strip().splitlines()[-1].strip("'\"") for call, result in calls if call.tool == "python"]


def _with(text: str, outputs: list[str]) -> str:
    if OUT not in text:
        return text
    if not outputs:
        raise InvalidInput(f"a plan uses an output before there is one: {text!r}")
    return text.replace(OUT, outputs[-1])
