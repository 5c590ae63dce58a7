"""A tiny Llama that works as an agent; see `tiny_pieces`.

After the opening of a turn come a call or an answer, all equally likely, and after them the end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.tasks import TaskSet
from reagent_training.sampling.questions import Question
from tiny_pieces import piece_tokenizer, write_pieces
from transformers import PreTrainedTokenizerFast

from reagent_sdk.clients.base import Sampling
from reagent_sdk.judges.base import CallableJudge
from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.messages import system
from reagent_sdk.models.manifest import Manifest, write_manifest
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.tools import tool
from reagent_sdk.tools.agent import FINAL
from reagent_sdk.tools.define import as_tool
from reagent_sdk.tools.wire import TextWire
from reagent_sdk.trajectory import Trajectory

CALL = '<tool_call>{"name": "look_up", "arguments": {"key": "a"}}</tool_call>'
TWO_CALLS = f'{CALL}\n<tool_call>{{"name": "look_up", "arguments": {{"key": "b"}}}}</tool_call>'
RIGHT, WRONG, OTHERS = "Answer: 42", "Answer: 41", ("Answer: 40", "Answer: 39")
INSTRUCTIONS, QUESTION = "Solve the task with care.", "What is the sum of a and b?"
CRITIQUE = "Check the second step again."
HIDDEN = 128
KNOWN = {"a": 30, "b": 12}


@tool
async def look_up(key: str) -> str:
    """Looks up the number behind a key."""
    return f"{key} is {KNOWN[key]}"


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, what the agent says, and the long texts that it is told."""
    sent, _ = TextWire().request([system(INSTRUCTIONS)], [as_tool(look_up)], Sampling())
    before, _, after = revision_request(CRITIQUE).partition(CRITIQUE)
    told = (sent[0].text, INSTRUCTIONS, QUESTION, before, CRITIQUE, after, FINAL)
    return piece_tokenizer((CALL, TWO_CALLS, RIGHT, WRONG, *OTHERS, *told))


def write_agent(folder: Path, *, says: Sequence[str] = (CALL, TWO_CALLS, RIGHT, WRONG)) -> Path:
    """Writes weights that begin a turn with one of these pieces, and end it after that."""
    follows = {"\n": says} | {piece: ["<|im_end|>"] for piece in says}
    write_pieces(folder, tokenizer(), follows, hidden=HIDDEN, intermediate=64, positions=1024)
    write_manifest(folder, Manifest(name="tiny", role="agent", base_model=str(folder)))
    return folder


def ends_right(work: Trajectory) -> bool:
    """The rule of the tests' tasks."""
    return work.answer.strip() == RIGHT


def question(name: str = "0/1", *, tools: Sequence[Any] = (look_up,), text: str = QUESTION) -> Question:
    """A task with a real tool."""
    own = tuple(one if hasattr(one, "call") else as_tool(one) for one in tools)
    return Question(name, name, "made", Task(question=text), ("42",), ends_right, lambda: own)


def task_set(config: AgentConfig, *, count: int = 1) -> TaskSet:
    """Such tasks as a run reads them."""
    return TaskSet(tuple(question(f"0/{place}") for place in range(count)), config.rollout)


def write_tasks(path: Path, count: int = 1) -> Path:
    """Tasks without tools, as lines of question and answer."""
    path.write_text("".join(json.dumps({"question": QUESTION, "answer": "42"}) + "\n" for _ in range(count)))
    return path


def liking(task: Task, trajectory: Trajectory) -> tuple[float, str]:
    """A judge that likes right answers, and few calls."""
    calls = sum(len(message.tool_calls or ()) for message in trajectory.messages)
    return (0.8 if RIGHT in trajectory.answer else 0.3) - min(0.2, 0.05 * calls), CRITIQUE


def queue(judge: Any = liking, **limits: Any) -> JudgeQueue:
    """A judge as a run asks it."""
    return JudgeQueue(CallableJudge(judge), redacted=True, **limits)


def settings(place: Path, recipe: str = "reagent-u", **changes: Any) -> AgentConfig:
    """Settings of a small run; `place` holds `agent` and `tasks.jsonl`."""
    given: dict[str, Any] = {
        "recipe": recipe,
        "base": str(place / "agent"),
        "name": "tiny",
        "lora": None,
        "max_tokens": 256,
        "tasks": [{"path": place / "tasks.jsonl"}],
        "rollout": {"group": 4, "max_new_tokens": 8, "steps": 3, "tools": "none", "instructions": INSTRUCTIONS},
        "optimiser": {"learning_rate": 3e-3, "batch": 8, "max_steps": 1, "warmup": 0.0},
        "judge": None if recipe == "agent-grpo" else {"spec": "local"},
        "device": "cpu",
        "trackers": [],
        "save_every": 100,
        "samples": 0,
        "seed": 3,
    }
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(given.get(name), dict)
        given[name] = {**given[name], **value} if both else value
    return AgentConfig.model_validate(given)
