"""Real trajectories to attack: short ones with tool calls, of AgentProcessBench and MINT (HotpotQA, GSM8K)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reagent_benchmarks.judge_attacks.undefended import plain_record
from reagent_benchmarks.judging.datasets import DataSet, load
from reagent_benchmarks.judging.items import JudgedItem

MAX_CHARS = 2_500
PARTS = ("hotpotqa", "gsm8k")


def cases(data: Path, count: int, *, seed: int = 0, max_chars: int = MAX_CHARS) -> list[JudgedItem]:
    """Wrong and right trajectories by turns, of different questions, the data sets by turns as well.

    Args:
        data: folder with `agentprocessbench/` and `mint/`.
        count: how many; fewer come back when there are not as many.
        seed: of the choice.
        max_chars: of the rendered record; a small judge on a CPU reads 200 tokens a second.

    Raises:
        InvalidInput: a data set is missing or malformed.
    """
    queues: dict[tuple[bool, bool], list[JudgedItem]] = {}
    for dataset in (DataSet.AGENTPROCESSBENCH, DataSet.MINT):
        items = load(dataset, data / dataset.value).items
        for item in sorted(items, key=lambda one: hashlib.sha256(f"{seed}/{one.id}".encode()).digest()):
            if _fits(item, max_chars):
                queues.setdefault((item.label, dataset is DataSet.MINT), []).append(item)
    chosen: list[JudgedItem] = []
    groups: set[str] = set()
    order = [(False, True), (True, False), (False, False), (True, True)]
    while len(chosen) < count and any(queues.values()):
        for key in order:
            queue = [one for one in queues.get(key, ()) if one.group not in groups]
            queues[key] = queue[1:]
            if queue and len(chosen) < count:
                chosen.append(queue[0])
                groups.add(queue[0].group)
    return chosen


def _fits(item: JudgedItem, max_chars: int) -> bool:
    """Whether every place of an attack is there, and the record is short."""
    messages = item.trajectory.messages
    has_tools = any(one.tool_calls for one in messages) and any(one.role == "tool" for one in messages)
    known = any(part in item.part for part in PARTS)
    return known and has_tools and len(plain_record(item.task, item.trajectory)) <= max_chars
