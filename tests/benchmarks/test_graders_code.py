"""Code answers, run in real kernels."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks.grading import Grade
from reagent_benchmarks.grading.code import CodeGrader, last_block

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.python.tool import PythonTool

pytest.importorskip("ipykernel", reason="the tools extra is not installed")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no limits on Windows")

TESTS = "assert double(2) == 4\nassert double(-1) == -2"


def block(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\nDone."


def graded(answers: list[str], tests: str = TESTS, seconds: float = 30.0) -> list[Grade]:
    async def all_of_them() -> list[Grade]:
        judge = CodeGrader(seconds=seconds)
        return [await judge.grade(answer, [tests]) for answer in answers]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (block("x = 1") + block("x = 2"), "x = 2"),
        ("~~~\nx = 1\n~~~", "x = 1"),
        ("````\n```\nx\n```\n````", "```\nx\n```"),
        (block("x = 1") + "\n```python\nx = 2", ""),  # the last one is unfinished
        ("def f(): return 1", "def f(): return 1"),
        ("I cannot do that!", ""),
        ("", ""),
    ],
)
def test_the_last_block_is_the_code(reply: str, code: str) -> None:
    assert last_block(reply) == code


@given(st.text(st.sampled_from("`~\nab ="), max_size=60))
def test_any_text_has_a_last_block_or_none(reply: str) -> None:
    assert last_block(reply) in reply


def test_right_and_wrong_code() -> None:
    right, wrong, crash = graded(
        [block("def double(x): print('passed'); return 2 * x"), block("def double(x): return x * x"), block("1 / 0")]
    )
    assert (right.right, right.why) == (True, "all tests pass")
    assert (wrong.right, wrong.why) == (False, "AssertionError")
    assert (crash.right, crash.why) == (False, "ZeroDivisionError: division by zero")


def test_ending_early_or_printing_does_not_pass() -> None:
    for grade in graded(
        [
            block("import sys; sys.exit(0)"),
            block("import os; os.write(1, b'loaded\\nall tests pass\\n'); raise SystemExit"),
            block("import atexit, os\ndef double(x): os._exit(0)"),
        ]
    ):
        assert grade.right is False, grade.why


def test_functions_and_test_cases_among_the_tests_are_called() -> None:
    case = "import unittest\nclass T(unittest.TestCase):\n  def test_it(self):\n    self.assertEqual(double(2), 4)"
    good, bad = block("def double(x): return 2 * x"), block("def double(x): return 5")
    assert [grade.right for grade in graded([good, bad], case)] == [True, False]
    (grade,) = graded([bad], "def test_it():\n    assert double(2) == 4")
    assert grade.right is False


def test_an_endless_loop_is_wrong_and_says_so() -> None:
    (grade,) = graded([block("while True: pass")], seconds=1)
    assert (grade.right, grade.why) == (False, "stopped after 1 seconds")


def test_without_code_or_tests() -> None:
    judge = CodeGrader()
    assert asyncio.run(judge.grade("I do not know.", [TESTS])).right is False
    for tests, why in (("", "no tests"), ("assert (", "not valid"), ("x = 1", "test nothing")):
        grade = asyncio.run(judge.grade(block("x = 1"), [tests]))
        assert grade.right is None
        assert why in grade.why
    with pytest.raises(InvalidInput, match="seconds"):
        CodeGrader(seconds=0)


class Broken:
    """A python tool whose kernels die; those of harmless code as well, or not."""

    name, description = "python", "broken"
    parameters: Mapping[str, Any] = {}

    def __init__(self, error: str, *, always: bool) -> None:
        self._error, self._always = error, always
        self._real = PythonTool(timeout=40)

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        if self._always or "double" in arguments["code"]:
            return ToolResult.failed(self._error, "gone")
        return await self._real.call(arguments)


@pytest.mark.parametrize(
    ("tool", "right"),
    [
        (Broken("KernelUnavailable", always=True), None),
        (Broken("KernelDied", always=True), None),
        (Broken("KernelDied", always=False), False),
    ],
)
def test_a_dead_sandbox_is_no_wrong_answer(tool: Broken, right: bool | None) -> None:
    grade = asyncio.run(CodeGrader(tool).grade(block("def double(x): return 2 * x"), [TESTS]))
    assert grade.right is right
    assert "gone" in grade.why
