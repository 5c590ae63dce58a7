from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from reagent_benchmarks.grading.base import Grade
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.objective import total_reward
from reagent_training.agent_rl.tasks import TaskSet, read_tasks

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import assistant
from reagent_sdk.trajectory import AgentStop, Trajectory


def _tasks(folder: Path, question: str, answer: object, grader: str | None) -> TaskSet:
    file = folder / "questions.jsonl"
    file.write_text(json.dumps({"question": question, "answer": answer}) + "\n")
    told = {"recipe": "agent-grpo", "base": "b", "name": "n", "rollout": {"tools": "none", "max_new_tokens": 64}}
    return read_tasks(AgentConfig.model_validate({**told, "tasks": [{"path": file, "grader": grader}]}))


def _right(tasks: TaskSet, answer: str, stop: AgentStop = AgentStop.COMPLETED) -> bool | None:
    work = Trajectory(messages=(assistant(answer),), answer=answer, stop=stop)
    return anyio.run(tasks.right, tasks.questions[0], work)


@pytest.mark.parametrize(
    ("grader", "gold", "right", "wrong"),
    [
        (None, "42", "Answer: 42", "Answer: 41 or 42"),
        ("maths", "\\frac{1}{2}", "So it is \\boxed{0.5}.", "So it is \\boxed{2}."),
        ("text", "Paris", "Answer: Paris", "Answer: Paris or London or Rome"),
        ("numeric", "0", "Answer: 0", "Answer: 1"),
        ("yes_no", "no", "Answer: no", "Answer: not known"),
        (
            "code",
            "assert f(2) == 4",
            "```python\ndef f(x):\n    return 2 * x\n```",
            "```python\ndef f(x): return x\n```",
        ),
    ],
)
def test_rules_grade_answers(tmp_path: Path, grader: str | None, gold: str, right: str, wrong: str) -> None:
    tasks = _tasks(tmp_path, "What is it?", gold, grader)
    assert _right(tasks, right) is True
    assert _right(tasks, wrong) is False
    assert _right(tasks, " ") is False


def test_a_cut_off_answer_counts_only_where_it_is_marked(tmp_path: Path) -> None:
    tasks = _tasks(tmp_path, "What is it?", "42", "numeric")
    assert _right(tasks, "The sum of the first two is 42", AgentStop.TRUNCATED) is False


class _Broken:
    name = "broken"

    async def grade(
        self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False
    ) -> Grade:
        return Grade.failed("the sandbox is down")


def test_a_rule_that_fails_leaves_the_attempt_out_and_is_no_zero(tmp_path: Path) -> None:
    tasks = _tasks(tmp_path, "What is it?", "42", "numeric")
    tasks = replace(tasks, graders={tasks.questions[0].name: _Broken()})
    assert _right(tasks, "Answer: 42") is None
    assert total_reward(None, 0.9, 0.3) is None


def test_an_unknown_grader_and_an_unknown_tool_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'sums' is not a grader"):
        _tasks(tmp_path, "What is it?", "42", "sums")
    with pytest.raises(InvalidInput, match="has no tools of its own"):
        read_tasks(
            AgentConfig.model_validate(
                {"recipe": "agent-grpo", "base": "b", "name": "n", "tasks": [{"path": tmp_path / "questions.jsonl"}]}
            )
        )
