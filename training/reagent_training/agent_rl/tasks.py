"""The tasks that an agent is trained on, their rules and their tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reagent_benchmarks.grading.base import Grader
from reagent_benchmarks.grading.registry import grader

from reagent_sdk.cli.toolset import NAMES, toolset
from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.define import as_tool
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_training.agent_rl.config import AgentConfig, AgentRollout
from reagent_training.agent_rl.remembered import Memory, RememberedTool
from reagent_training.sampling.arms import NO_TOOLS, OWN_TOOLS
from reagent_training.sampling.questions import Question, read_question_set


@dataclass(frozen=True)
class TaskSet:
    """Tasks by unique names.

    Attributes:
        questions: in order; `Question.grade` is the rule reward.
        rollout: which tools they are worked on with.
        graders: by name of the task, for tasks whose own rule does not grade them.
        memory: results of tool calls, where they are kept; whoever used the tools closes it.
    """

    questions: tuple[Question, ...]
    rollout: AgentRollout
    graders: Mapping[str, Grader] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """Source -> how many tasks, how they are graded, under which licence."""
        found: dict[str, dict[str, Any]] = {}
        for question in self.questions:
            first = {"rows": 0, "labelled_by": ["rule"], "licence": question.licence}
            found.setdefault(question.source, first)["rows"] += 1
        return dict(sorted(found.items()))

    def only(self, kept: Sequence[bool]) -> TaskSet:
        """Those that are kept."""
        return replace(self, questions=tuple(q for q, keep in zip(self.questions, kept, strict=True) if keep))

    async def right(self, question: Question, work: Trajectory) -> bool | None:
        """The rule reward: whether the work ends with a right answer; None where the rule itself failed."""
        if not work.answer.strip():
            return False
        grader = self.graders.get(question.name)
        if grader is None:
            return question.grade(work)
        cut_off = work.stop is AgentStop.TRUNCATED
        grade = await grader.grade(work.answer, question.references, question=question.task.question, cut_off=cut_off)
        return grade.right

    def tools_of(self, question: Question) -> Sequence[Any]:
        """The tools for one attempt at a task; made anew for each, because some hold state."""
        tools = self._made(question)
        if not self.rollout.remember_tools:
            return tools
        return [RememberedTool(as_tool(tool), self.memory, question.name) for tool in tools]

    def _made(self, question: Question) -> Sequence[Any]:
        names = self.rollout.tools
        if names == NO_TOOLS:
            return ()
        own = list(question.tools()) if question.tools else None
        if names == OWN_TOOLS:
            return own or ()
        if own is not None:
            return [tool for tool in own if tool.name in names.split(",")]
        return toolset(names, self.rollout.corpus, self.rollout.root) or ()


def read_tasks(config: AgentConfig) -> TaskSet:
    """Reads all tasks of a run.

    Raises:
        InvalidInput: a file or folder cannot be read, a tool is unknown, or a task without tools of its own is to use
            its own.
    """
    names = config.rollout.tools
    unknown = [] if names in (NO_TOOLS, OWN_TOOLS) else [one for one in names.split(",") if one not in NAMES]
    if unknown:
        raise InvalidInput(f"rollout.tools: there is no {unknown[0]!r}; there are {', '.join(NAMES)}, none, or own")
    questions: list[Question] = []
    graders: dict[str, Grader] = {}
    for place, source in enumerate(config.tasks):
        read = read_question_set(source.path, limit=source.rows)
        if names == OWN_TOOLS and not read.with_tools:
            raise InvalidInput(f"{source.path} has no tools of its own; set rollout.tools to names, or to none")
        named = [replace(question, name=f"{place}/{question.name}") for question in read.questions]
        questions += named
        if source.grader is not None:
            rule = grader(source.grader)
            graders |= {question.name: rule for question in named}
    return TaskSet(tuple(questions), config.rollout, graders)
