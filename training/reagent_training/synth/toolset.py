"""The tools of a generated task, for agents that are to work on it."""

from __future__ import annotations

from pathlib import Path

from reagent_sdk.tools import BrowseTool, FileReader, PythonTool, SearchTool
from reagent_sdk.tools.base import Tool
from reagent_sdk.tools.corpus.search import CorpusSearch
from reagent_training.synth.record import SynthTask

SNIPPET_CHARS = 160
"""Pages are short: longer snippets would show them whole, and no page would have to be opened."""


def tools_of(folder: str | Path, task: SynthTask) -> list[Tool]:
    """The tools that a task needs, over its own files and pages; none of them reaches the network.

    Args:
        folder: the folder of the set.
        task: one of its tasks.

    Raises:
        InvalidInput: the task's files or corpus are not in the folder.
    """
    made: list[Tool] = []
    if task.corpus is not None:
        corpus = CorpusSearch(Path(folder) / task.corpus, snippet_chars=SNIPPET_CHARS)
        made += [SearchTool(corpus, snippet_chars=SNIPPET_CHARS), BrowseTool(open_url=corpus.open)]
    if task.folder is not None:
        made.append(FileReader(Path(folder) / task.folder))
    if "python" in task.tools:
        made.append(PythonTool())
    return made
