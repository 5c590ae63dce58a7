"""Tasks of tau-bench and tau2-bench: a customer's wish, the policy, and what the service has to do about it.

They are meant for a simulated customer and an airline's tools, neither of which is here: the tasks can be loaded, and
be played in an environment that has both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.items import item, optional, text
from reagent_benchmarks.suite.wording import SERVICE
from reagent_sdk.messages import system


def _parse(row: Row) -> BenchmarkItem:
    """A task; the reference is JSON with the actions and what has to be told to the customer."""
    return _of_tau2(row) if "user_scenario" in row.data else _of_tau(row)


def _of_tau(row: Row) -> BenchmarkItem:
    task = row.get("task", dict)
    expected = {"actions": _listed(row, task, "actions"), "outputs": _listed(row, task, "outputs")}
    policy = [turn for turn in optional(row, "traj") or () if isinstance(turn, dict) and turn.get("role") == "system"]
    name = f"tau/{text(row, 'task_id')}"
    return item(
        row,
        str(task.get("instruction") or ""),
        (json.dumps(expected, ensure_ascii=False),),
        id=name,
        group=name,
        metadata={"user": task.get("user_id"), "layout": "tau-bench"},
        history=tuple(system(str(turn.get("content") or "")) for turn in policy[:1]),
    )


def _of_tau2(row: Row) -> BenchmarkItem:
    told = row.get("user_scenario", dict).get("instructions")
    wish = told if isinstance(told, dict) else {"reason_for_call": told}
    criteria = row.get("evaluation_criteria", dict)
    wanted = ("actions", "communicate_info", "nl_assertions")
    expected = {name: _listed(row, criteria, name) for name in wanted if criteria.get(name) is not None}
    parts = (wish.get(name) for name in ("reason_for_call", "known_info", "unknown_info", "task_instructions"))
    name = f"tau2/{text(row, 'id')}"
    return item(
        row,
        "\n\n".join(str(part) for part in parts if part),
        (json.dumps(expected, ensure_ascii=False),),
        id=name,
        group=name,
        metadata={"domain": wish.get("domain"), "layout": "tau2-bench"},
    )


def _listed(row: Row, told: dict[str, object], name: str) -> list[object]:
    value = told.get(name)
    if not isinstance(value, list):
        raise row.wrong(f'"{name}" must be a list of what is expected; an empty one where nothing is')
    return value


def _tasks(rows: Sequence[Row]) -> Sequence[Row]:
    """One row for each task; a file of trajectories holds several trials of it."""
    if any("trial" not in row.data for row in rows):
        return rows
    return list({text(row, "task_id"): row for row in reversed(rows)}.values())[::-1]


TAU = Benchmark(
    name="tau-bench",
    title="tau-bench tasks",
    what="customer service of an airline: tasks of tau-bench and tau2-bench, to be played in an environment",
    size=50,
    hub_id="",
    split="test",
    licence="MIT",
    home="https://github.com/sierra-research/tau2-bench",
    columns={
        "task_id, task": "tau-bench: id, and an object with instruction, actions and outputs",
        "id, user_scenario, evaluation_criteria": "tau2-bench: id, the customer, and what is expected",
        "traj": "tau-bench: its first message is the policy",
    },
    files=("*_tasks.json", "tasks.json", "*airline_trajectories.jsonl"),
    folders=("tau2_bench", "tau_bench", "airline"),
    grader="llm",
    tools=(),
    instructions=SERVICE,
    parse=_parse,
    prepare=_tasks,
    needs="a simulated customer and the airline's tools",
)
