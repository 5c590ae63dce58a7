"""Code answers: the last code block of a reply, run with unit tests behind the walls of the SDK's python tool."""

from __future__ import annotations

import ast
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from reagent_benchmarks.grading.base import Grade, stated_references
from reagent_benchmarks.grading.code_driver import control, driver
from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.base import Tool, ToolResult, opened

_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_LONGEST = 100_000
_FAULTS_OF_CODE = ("KernelDied", "TimeoutError", "OutputLimit")
_MARGIN = 20.0
"""Seconds that the tool has beyond the tests' own limit, for starting a process on a busy machine."""


class CodeGrader:
    """Right: the code runs and all tests pass. References are test code, and all of them have to pass.

    Tests are plain asserts, functions `test_...` without arguments, or `unittest` classes. They run after the reply's
    code, in one fresh process without network. Code that ends, crashes, loops or eats memory is wrong. Where the
    sandbox itself fails, which a program that does nothing tells, nobody knows (`right` is None).

    Reply and tests share a process, as they must: code that is written to attack its own tests (objects that equal
    everything, changes to what the tests call) can pass them. It cannot pass by exiting or printing.

    Args:
        tool: runs Python; by default a `PythonTool` made for this grader.
        seconds: time for code and tests together.

    Raises:
        InvalidInput: no time at all, or there is no sandbox on this system.
    """

    name = "code"

    def __init__(self, tool: Tool | None = None, *, seconds: float = 20.0) -> None:
        if seconds <= 0:
            raise InvalidInput(f"seconds must be above 0, not {seconds}")
        if tool is None:
            from reagent_sdk.tools.python.tool import PythonTool

            tool = PythonTool(timeout=seconds + _MARGIN)
        self._tool, self._seconds = tool, seconds

    async def grade(
        self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False
    ) -> Grade:
        """Runs the code with the tests. See the class."""
        tests = "\n\n".join(stated_references(references))
        if problem := _problem(tests):
            return Grade.failed(problem)
        code = last_block(answer)
        if not code or len(code) > _LONGEST:
            return Grade.of(False, "the reply holds no finished code block" if not code else "the code is too long")
        told = await self._run(code, tests)
        if isinstance(told, dict):
            return Grade.of(bool(told["passed"]), "all tests pass" if told["passed"] else str(told["why"]))
        alive = await self._run(control(), "pass") if told.error in _FAULTS_OF_CODE else None
        if isinstance(alive, dict) and alive["passed"]:
            return Grade.of(False, f"the code ended the sandbox: {told.text}")
        return Grade.failed(f"the sandbox failed: {told.text}")

    async def _run(self, code: str, tests: str) -> dict[str, Any] | ToolResult:
        """What the driver says, or the result of a tool that did not get so far."""
        mark = secrets.token_hex(16)
        async with opened(self._tool) as python:
            result = await python.call({"code": driver(code, tests, mark=mark, seconds=self._seconds)})
        _, found, line = result.text.rpartition(mark)
        try:
            told = json.loads(line.splitlines()[0]) if found else None
        except (ValueError, IndexError):
            told = None
        return told if isinstance(told, dict) and "passed" in told else result


def last_block(reply: str) -> str:
    """The last finished code block, or the whole reply if it is Python without any; empty when there is neither."""
    blocks: list[str] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(reply):
        if opening is None:
            opening = fence
        elif fence[0].strip().startswith(opening[1]) and fence[0].strip(" \t`~") == "":
            blocks.append(reply[opening.end() : fence.start()].strip("\n"))
            opening = None
    if opening is not None:  # what came last is unfinished, and what came before it was not meant
        return ""
    return blocks[-1] if blocks else reply.strip() if _parses(reply) else ""


def _problem(tests: str) -> str:
    """Why these are no tests; empty when they are."""
    if not tests:
        return "there are no tests"
    if not _parses(tests):
        return "the tests are not valid Python"
    nodes = list(ast.walk(ast.parse(tests)))
    return (
        "" if any(isinstance(node, ast.Assert | ast.Raise | ast.Call) for node in nodes) else "the tests test nothing"
    )


def _parses(text: str) -> bool:
    try:
        return bool(ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
