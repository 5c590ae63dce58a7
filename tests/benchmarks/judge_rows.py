"""Small data sets in the layout of the public ones, with made-up work in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WRONG = "Observation:\nYour answer is wrong.\nYou have 3 steps left and 1 chances to propose solution left."


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def observed(text: str) -> dict[str, str]:
    return {"role": "observation", "content": f"Observation:\n{text}"}


def mint_row(number: int, *, right: bool, first: bool = True, **changes: Any) -> dict[str, Any]:
    """A run that computes and proposes a solution; with `first` false it is right at the second try only."""
    turns = [
        said(f"Assistant:\n<thought> I compute {number}. </thought>\n<execute>\nprint({number})\n</execute>"),
        observed(f"{number}\nYou have 4 steps left and 2 chances to propose solution left."),
        said(f"<solution> {number} </solution>"),
    ]
    if not right or not first:
        turns += [{"role": "observation", "content": WRONG}, said(f"<solution> later {number} </solution>")]
    row = {
        "id": f"agent|none|gsm8k|{number}",
        "agent": "agent",
        "critic": "none",
        "dataset": "gsm8k",
        "task_id": number,
        "question": f"What is {number}?",
        "reference": f"reference-{number}",
        "turns": turns,
        "success": right,
        "terminate_reason": "task_success" if right else "max_propose_steps",
        "agent_action_count": {"propose_solution": 1, "use_tool": 1, "invalid_action": 0},
    }
    return row | changes


def apb_row(question: int, sample: int, *, right: bool, **changes: Any) -> dict[str, Any]:
    call = {"id": f"served-{sample}", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}}
    row = {
        "total_index": 10 * question + sample,
        "query_index": question,
        "sample_index": sample,
        "question": f"Who is {question}?",
        "data_source": "made_up",
        "ground_truth": {"target": [f"truth-{question}"]},
        "answer_text": f"extracted-{question}",
        "messages": [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": f"Answer in <answer>. Question: Who is {question}?"},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "name": "search", "tool_call_id": call["id"], "content": "a page"},
            {"role": "assistant", "content": f"<answer>{'good' if right else 'bad'}</answer>"},
        ],
        "tool_metrics": {"search": [{"endpoint_url": "metrics"}]},
        "tools": [{"type": "function", "function": {"name": "search", "description": "Searches.", "parameters": {}}}],
        "step_labels": {"2": 1, "4": 1 if right else -1},
        "final_label": 1 if right else -1,
    }
    return row | changes


def tau_row(task: int, trial: int, *, right: bool, **changes: Any) -> dict[str, Any]:
    row = {
        "task_id": task,
        "trial": trial,
        "reward": 1.0 if right else 0.0,
        "task": {"user_id": "u", "actions": [{"name": "expected"}], "instruction": "hidden", "outputs": []},
        "traj": [
            {"role": "system", "content": "# Policy\nNever refund."},
            {"role": "user", "content": "I want a refund."},
            {"role": "assistant", "content": "No." if right else "Yes."},
            {"role": "user", "content": "Thanks! ###STOP###"},
        ],
    }
    return row | changes


def plan_row(number: int, **changes: Any) -> dict[str, Any]:
    asked = {"role": "user", "content": f"Plan {number}."}
    call = {"role": "tool_call", "content": "{'name': 'clock', 'arguments': '{\"zone\": \"UTC\"}'}"}
    row = {
        "query": f"Plan {number}.",
        "tools": [{"type": "function", "function": {"name": "clock", "description": "Tells\nthe time."}}],
        "uuid": f"uuid-{number}",
        "chosen": {"messages": [asked, call, {"role": "tool_response", "content": "12:00"}, said("good plan")]},
        "reject": {
            "messages": [
                asked,
                call,
                {"role": "tool_response", "name": "clock", "content": "12:00"},
                said("bad plan\n"),
            ]
        },
        "_lcp_bucket": "bucket",
    }
    return row | changes


def when_row(number: int, *, step: int = 2, **changes: Any) -> dict[str, Any]:
    """A log of three agents, a terminal and a person; the agents' steps are 1, 2 and 4."""
    row = {
        "is_correct": False,
        "question": f"How many are {number}?",
        "question_ID": f"id-{number}",
        "level": "1",
        "ground_truth": f"truth-{number}",
        "history": [
            {"role": "human", "content": f"How many are {number}?"},
            {"role": "assistant", "name": "Planner", "content": "We look it up."},
            {"role": "assistant", "name": "Coder", "content": f"print({number})"},
            {"role": "user", "name": "Computer_terminal", "content": f"exitcode: 0\n{number}"},
            {"role": "Orchestrator", "content": f"It is {number}."},
        ],
        "mistake_agent": "Coder",
        "mistake_step": str(step),
        "mistake_reason": f"because-{number}",
    }
    return row | changes


def written(file: Path, rows: Sequence[Any]) -> Path:
    """The folder of a file that holds these rows; a text is written as it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return file.parent


def small_set(name: str, folder: Path) -> Path:
    """A folder with a small data set: 6 items or pairs of each kind, half of them right."""
    sides = [(number, sample, (number + sample) % 2 == 0) for number in range(3) for sample in range(2)]
    files: dict[str, tuple[str, list[Any]]] = {
        "mint": ("trajectories_qa.jsonl", [mint_row(number, right=number % 2 == 0) for number in range(6)]),
        "agentprocessbench": ("x_trajectories.jsonl", [apb_row(q, s, right=right) for q, s, right in sides]),
        "tau_bench": ("airline_trajectories.jsonl", [tau_row(q, s, right=right) for q, s, right in sides]),
        "plan_rewardbench": ("easy.jsonl", [plan_row(number) for number in range(6)]),
        "who_and_when": ("made_full.jsonl", [when_row(number, step=(1, 2, 4)[number % 3]) for number in range(6)]),
    }
    file, rows = files[name]
    return written(folder / name / file, rows)
