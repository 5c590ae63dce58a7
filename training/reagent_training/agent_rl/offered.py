"""The tools that the agents of labelled trajectories could call: what they were told of them is part of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_sdk.cli.toolset import toolset
from reagent_sdk.errors import InvalidInput
from reagent_training.agent_rl.sft_config import AgentSftConfig, AgentSource
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.arms import NO_TOOLS, OWN_TOOLS
from reagent_training.synth.generate import TASKS, read_tasks
from reagent_training.synth.record import SynthTask
from reagent_training.synth.toolset import tools_of


class Offered:
    """Tools by row.

    Args:
        config: the recipe's.

    Raises:
        InvalidInput: rows that are to have their tasks' own tools lie in no folder of tasks, or the tasks are damaged.
    """

    def __init__(self, config: AgentSftConfig) -> None:
        self._names = config.tools
        self._tasks: dict[str, tuple[Path, SynthTask]] = {}
        self._made: dict[tuple[object, ...], Sequence[Any]] = {}
        self._named: Sequence[Any] = ()
        if self._names == OWN_TOOLS:
            for source in (*config.train, *config.validation):
                self._read(source)
        elif self._names != NO_TOOLS:
            self._named = toolset(self._names, config.corpus, config.root) or ()

    def of(self, row: LabelledTrajectory) -> Sequence[Any]:
        """The tools that the agent of a row had.

        Raises:
            InvalidInput: it is to have its task's own tools, and there is no such task.
        """
        if self._names != OWN_TOOLS:
            return self._named
        if row.group not in self._tasks:
            raise InvalidInput(
                f"the row {row.id!r} belongs to no task of its folder, so it has no tools of its own; name the folder "
                "in tasks, or set tools to names, or to none"
            )
        folder, task = self._tasks[row.group]
        key = (folder, task.corpus, task.folder, task.tools)
        if key not in self._made:
            self._made[key] = tools_of(folder, task)
        return self._made[key]

    def _read(self, source: AgentSource) -> None:
        folder = (source.tasks or source.path.parent).expanduser()
        if not (folder / TASKS).is_file():
            raise InvalidInput(
                f"{folder} holds no {TASKS}; name the folder in tasks, or set tools to names, or to none"
            )
        try:
            tasks = read_tasks(folder)
        except ValueError as error:
            raise InvalidInput(f"{folder / TASKS} is damaged: {' '.join(str(error).split())[:200]}") from None
        for task in tasks:
            there = self._tasks.setdefault(task.id, (folder, task))
            if there[1] != task:
                raise InvalidInput(f"{there[0]} and {folder} hold two different tasks named {task.id!r}; train on one")
