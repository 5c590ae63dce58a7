"""What agent SFT teaches: labelled work as an attempt, or as the revision of other work on the question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from reagent_benchmarks.judging.items import renumbered

from reagent_sdk.agents import Feedback, conversation
from reagent_sdk.clients.base import Sampling
from reagent_sdk.messages import Message, system
from reagent_sdk.rendering import clip
from reagent_sdk.tools.wire import TextWire
from reagent_sdk.trajectory import AgentStop
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.offered import Offered
from reagent_training.agent_rl.sft_config import AgentSftConfig
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.examples import IGNORED, Encoded


class Lesson(NamedTuple):
    """A row whose work is taught, and for a revision the earlier work with its critique."""

    row: LabelledTrajectory
    feedback: Feedback | None = None


def agent_examples(
    rows: Sequence[LabelledTrajectory],
    dialogue: Dialogue,
    config: AgentSftConfig,
    offered: Offered,
    left_out: Counter[str],
) -> list[Encoded]:
    """The rows that can be taught, as tokens: attempts, then revisions. What is left out is counted by reason.

    Raises:
        InvalidInput: a row has no tools where it should have some, or the chat template does not fit.
    """
    chosen = [row for row in rows if _chosen(row, config, left_out)]

    def encoded(lessons: Iterator[Lesson]) -> Iterator[Encoded]:
        for lesson in lessons:
            made = _encoded(lesson, dialogue, config, offered.of(lesson.row))
            if isinstance(made, str):
                left_out[made] += 1
            else:
                yield made

    attempts = list(encoded(map(Lesson, chosen)))
    taught = {one.row for one in attempts}
    share = config.revision_share
    wanted = round(len(attempts) * share / (1 - share))
    pairs = _revisions([row for row in chosen if row.id in taught], rows, config)
    return attempts + list(islice(encoded(pairs), wanted))


def conversation_of(lesson: Lesson, config: AgentSftConfig, tools: Sequence[Any]) -> tuple[list[Message], int]:
    """A lesson as the SDK's tool-calling agent sends it, and how many of the messages come before its first turn."""
    context = conversation(lesson.row.task, lesson.feedback)
    if config.instructions and context[0].role != "system":
        context.insert(0, system(config.instructions))
    whole = [_clipped(message, config) for message in (*context, *lesson.row.trajectory.messages)]
    numbered = renumbered(whole)  # two attempts may use the same ids, and results are told by their calls' numbers
    wire = TextWire()
    opening, _ = wire.request(numbered[: len(context)], tools, Sampling())
    sent, _ = wire.request(numbered, tools, Sampling())
    return sent, len(opening)


def _chosen(row: LabelledTrajectory, config: AgentSftConfig, left_out: Counter[str]) -> bool:
    if config.only == "right" and row.correct is not True:
        left_out["not right"] += 1
        return False
    if config.min_score is not None and (row.score is None or row.score < config.min_score):
        left_out[f"no score of {config.min_score:g} or more"] += 1
        return False
    return True


def _drafts(rows: Sequence[LabelledTrajectory], config: AgentSftConfig) -> dict[str, list[LabelledTrajectory]]:
    """The work that may be revised, by question."""
    found: dict[str, list[LabelledTrajectory]] = defaultdict(list)
    for row in rows:
        allowed = row.correct is False or (config.revision_drafts == "any" and row.correct is True)
        if allowed and row.critique is not None and not _misfit(row.trajectory.messages):
            found[row.group].append(row)
    return found


def _revisions(
    taught: Sequence[LabelledTrajectory], rows: Sequence[LabelledTrajectory], config: AgentSftConfig
) -> Iterator[Lesson]:
    """Work that is taught, each piece after other work on the question and its critique: all once, then again."""
    drafts = _drafts(rows, config)
    for turn in range(max(map(len, drafts.values()), default=0)):
        for place, row in enumerate(taught):
            others = [draft for draft in drafts.get(row.group, ()) if draft.id != row.id]
            if row.correct is not False and turn < len(others):
                draft = others[(place + turn) % len(others)]
                yield Lesson(row, Feedback(draft.trajectory, draft.critique or ""))


def _encoded(lesson: Lesson, dialogue: Dialogue, config: AgentSftConfig, tools: Sequence[Any]) -> Encoded | str:
    """Tokens with labels, or why there are none."""
    work = lesson.row.trajectory
    if reason := _misfit(work.messages):
        return reason
    if work.stop is AgentStop.TRUNCATED:
        return "cut off by a limit"
    names = {tool.name for tool in tools}
    if any(call.name not in names for message in work.messages for call in message.tool_calls or ()):
        return "calls of tools that are not on offer"
    sent, start = conversation_of(lesson, config, tools)
    ids, own = dialogue.encode(sent, start)
    ends = sum(mine for token, mine in zip(ids, own, strict=True) if token == dialogue.end)
    if ends != sum(message.role == "assistant" for message in sent[start:]):
        return "the end token inside a reply"
    if len(ids) > config.max_tokens:
        return f"more than {config.max_tokens} tokens"
    labels = [token if mine else IGNORED for token, mine in zip(ids, own, strict=True)]
    return Encoded(lesson.row.id, ids, labels)


def _misfit(messages: Sequence[Message]) -> str | None:
    """Why the work is none that the SDK's tool-calling agent could have done."""
    asked: list[str] = []
    own_turn = True
    for message in messages:
        if asked:
            if message.role != "tool" or message.tool_call_id not in asked:
                return "tool calls without results"
            asked.remove(message.tool_call_id)
            own_turn = True
        elif message.role == "assistant":
            if not own_turn:
                return "two replies with nothing between them"
            asked = [call.id for call in message.tool_calls or ()]
            own_turn = False
        elif message.role == "user" and message is not messages[0]:
            own_turn = True
        else:
            return "messages that an agent's work does not hold"
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or last.tool_calls or not last.text.strip():
        return "no final answer in words"
    return None


def _clipped(message: Message, config: AgentSftConfig) -> Message:
    if message.role != "tool" or not isinstance(message.content, str):
        return message
    return message.model_copy(update={"content": clip(message.content, config.max_result_chars)[0]})
