"""A process that runs an agent with critique on a thread that lies in a file; it is killed and started anew.

`langchain_resume.py FOLDER SAVER HANG`: SAVER is `file` or `sqlite`; HANG names the call that never comes back
(`judge-draft`, `model-revision`, `judge-revision`) or is `none`. A thread that was begun is gone on with.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from reagent_adapters.langchain import CritiqueMiddleware

from reagent_sdk import Policy
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

THREAD = {"configurable": {"thread_id": "one"}}


class FileSaver(InMemorySaver):
    """Checkpoints in memory and, after each change, in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._lock = threading.Lock()
        if path.exists():
            stored, written, blobs = self.serde.loads_typed(("msgpack", path.read_bytes()))
            for thread, space, name, checkpoint, metadata, parent in stored:
                self.storage[thread][space][name] = (tuple(checkpoint), tuple(metadata), parent)
            for key, part, (task, channel, value, *rest) in written:
                self.writes[tuple(key)][tuple(part)] = (task, channel, tuple(value), *rest)  # type: ignore[assignment]
            for key, value in blobs:
                self.blobs[tuple(key)] = tuple(value)  # type: ignore[index]

    def put(self, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            done = super().put(*args, **kwargs)
            self._save()
        return done

    def put_writes(self, *args: Any, **kwargs: Any) -> None:
        with self._lock:
            super().put_writes(*args, **kwargs)
            self._save()

    def _save(self) -> None:
        stored = [
            [thread, space, name, list(entry[0]), list(entry[1]), entry[2]]
            for thread, spaces in self.storage.items()
            for space, entries in spaces.items()
            for name, entry in entries.items()
        ]
        written = [
            [list(key), list(part), [list(x) if isinstance(x, tuple) else x for x in entry]]
            for key, parts in self.writes.items()
            for part, entry in parts.items()
        ]
        blobs = [[list(key), list(value)] for key, value in self.blobs.items()]
        _, data = self.serde.dumps_typed([stored, written, blobs])
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.replace(self._path)


@contextmanager
def saver(kind: str, folder: Path) -> Iterator[BaseCheckpointSaver[Any]]:
    if kind == "file":
        yield FileSaver(folder / "thread.msgpack")
        return
    from langgraph.checkpoint.sqlite import SqliteSaver

    with SqliteSaver.from_conn_string(str(folder / "thread.sqlite")) as sqlite:
        yield sqlite


class Writer(BaseChatModel):
    """Writes a draft and, when criticised, a revision."""

    folder: Path
    hang: str

    @property
    def _llm_type(self) -> str:
        return "writer"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        word = "revision" if len(messages) > 1 else "draft"
        called(self.folder, f"model-{word}", self.hang)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"{word} of mine"))])


def called(folder: Path, name: str, hang: str) -> None:
    """Notes a call; the one that is to hang says so and stays."""
    with (folder / "calls").open("a") as file:
        file.write(f"{name}\n")
    if name == hang:
        sys.stdout.write("hanging\n")
        sys.stdout.flush()
        threading.Event().wait()


def main(folder: Path, kind: str, hang: str) -> None:
    def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        word = trajectory.answer.split()[0]
        called(folder, f"judge-{word}", hang)
        return (0.8 if word == "draft" else 0.1), "do better"

    with saver(kind, folder) as checkpointer:
        ours = CritiqueMiddleware(judge, policy=Policy(rounds=1))
        graph = create_agent(Writer(folder=folder, hang=hang), [], middleware=[ours], checkpointer=checkpointer)
        begun = bool(graph.get_state(THREAD).values)
        given = None if begun else {"messages": [HumanMessage("write")]}
        answer = graph.invoke(given, THREAD, durability="sync")
        run = CritiqueMiddleware.run_of(graph.get_state(THREAD).values)
        assert run is not None
        told = {
            "messages": [message.content for message in answer["messages"]],
            "scores": [attempt.score for attempt in run.attempts],
            "calls": run.usage.calls,
        }
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
