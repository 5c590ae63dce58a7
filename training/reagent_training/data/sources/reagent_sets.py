"""The published sets of the reference method: `bunny127/Reagent-RRM-SFT-28K` and `bunny127/Reagent-RRM-RL-90K`.

Their cards name no columns. What is public: supervised training ran on LLaMA-Factory, the judge was asked with a system
prompt and "Question: ...", "Agent Trajectory: ...", and it answers in `<think>`, `<critique>` and `<score>`. So a row
is taken in any of the three shapes that LLaMA-Factory reads (`messages`, `conversations`, or `instruction`, `input` and
`output`), or with columns for question, trajectory and target; else the error lists the columns that are there.

The targets are those of the teacher. The work is one text of the agent, tags and all, in one message: the SDK renders
it as it stands. The published system prompt is left out, because the SDK's judge has its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.items import group_of

from reagent_sdk.errors import InvalidInput, MissingExtra, ReagentError
from reagent_sdk.messages import assistant
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data import jsonl, parquet
from reagent_training.data.files import is_parquet
from reagent_training.data.record import LabelledTrajectory, LabelSource
from reagent_training.data.sources.made import Origin, Work, bare

REAGENT = Origin("reagent", LabelSource.TEACHER, "Apache-2.0")

_ASKED = re.compile(r"Question:\s*(?P<question>.*?)\n\s*Agent Trajectory:\s*(?P<work>.*)\Z", re.DOTALL)
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_TRAJECTORY = ("trajectory", "agent_trajectory", "response", "prediction")
_TARGET = ("output", "target", "label", "judgement", "judgment", "completion")
_SPEAKERS = {"human": "user", "gpt": "assistant"}
_UNREADABLE = "targets that are no verdict"


def read_reagent_set(given: str, left_out: Counter[str], split: str = "train") -> Iterator[LabelledTrajectory]:
    """The rows of a published set.

    Args:
        given: a file (JSONL or Parquet), or the hub id of a data set.
        left_out: counts what is left out, by reason.
        split: of the hub's data set.

    Raises:
        InvalidInput: it cannot be read, or its columns have none of the known shapes.
        ReagentError: the hub cannot be reached.
        MissingExtra: a hub id, and `datasets` is not installed.
    """
    for where, number, row in _rows(given, split):
        asked, target = _prompt(row, where), _target(row)
        found = _ASKED.search(asked)
        if found is None or not found["question"].strip() or not found["work"].strip():
            left_out["rows without question or trajectory"] += 1
            continue
        verdict = parse_verdict(target) if target else None
        score = verdict.score if verdict is not None and verdict.scored else _number(row.get("score"))
        if score is None:
            left_out[_UNREADABLE] += 1
            continue
        question, text = found["question"].strip(), found["work"].strip()
        answers = _ANSWER.findall(text)
        work = Trajectory(messages=(assistant(text),), answer=answers[-1].strip() if answers else text)
        name = str(row.get("id") or number)
        fields: dict[str, Any] = {"score": score}
        if verdict is not None:
            fields |= {"analysis": verdict.analysis or None, "critique": verdict.critique or None}
        made = Work(name, group_of(question), Task(question=question), work, metadata={"set": Path(given).name})
        yield bare(REAGENT, made, **fields)


def _rows(given: str, split: str) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    path = Path(given).expanduser()
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", given):
        rows = parquet.read_rows(path) if is_parquet(path) else jsonl.read_objects(path)
        yield from ((f"{path}, row {number}", number, row) for number, row in rows)
        return
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtra("a data set of the Hugging Face hub", "training") from None
    try:
        rows = load_dataset(given, split=split, streaming=True)
    except ConnectionError as error:
        raise ReagentError(f"the hub cannot be reached for {given!r} ({str(error).splitlines()[0]:.200})") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot load {given!r} from the hub ({str(error).splitlines()[0]:.200})") from None
    yield from ((f"{given}, row {number}", number, row) for number, row in enumerate(rows, start=1))


def _prompt(row: Mapping[str, Any], where: str) -> str:
    """What the judge was asked, whichever shape the row has."""
    if turns := _turns(row):
        return "\n".join(text for role, text in turns if role == "user")
    work = next((row[name] for name in _TRAJECTORY if isinstance(row.get(name), str)), None)
    if isinstance(row.get("question"), str) and work is not None:
        return f"Question: {row['question']}\n\nAgent Trajectory: {work}"
    told = [row[name] for name in ("instruction", "input", "prompt", "query") if isinstance(row.get(name), str)]
    if not told:
        raise InvalidInput(
            f"{where}: none of the known shapes (messages; conversations; instruction, input, output; question, "
            f"trajectory, output); its columns are {', '.join(map(str, row))}"
        )
    return "\n".join(told)


def _target(row: Mapping[str, Any]) -> str:
    """What the judge should answer; empty for rows of the RL set, which have a score at most."""
    if turns := _turns(row):
        return next((text for role, text in reversed(turns) if role == "assistant"), "")
    return next((row[name] for name in _TARGET if isinstance(row.get(name), str)), "")


def _turns(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    for name in ("messages", "conversations", "prompt"):
        turns = row.get(name)
        if isinstance(turns, list) and turns and all(isinstance(turn, Mapping) for turn in turns):
            said = [(turn.get("role") or turn.get("from"), turn.get("content") or turn.get("value")) for turn in turns]
            return [(_SPEAKERS.get(str(role), str(role)), str(text or "")) for role, text in said]
    return []


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0.0 <= given <= 1.0:
        return None
    return float(given)
