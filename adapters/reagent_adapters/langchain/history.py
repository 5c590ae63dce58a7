"""What a finished run leaves in the conversation: the work with tools, and the answer that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from langchain_core.messages import AIMessage, AnyMessage, RemoveMessage

from reagent_adapters.langchain.turn import STOPPED, Ending


def tidied(
    messages: Sequence[AnyMessage], endings: Sequence[Ending], chosen: int, answer: str
) -> list[AnyMessage | RemoveMessage]:
    """The update that leaves one answer, the chosen one, at the end of the conversation.

    Rejected answers go. Tool calls and their results stay, also those of rejected attempts: they did happen, and a
    later turn must not do them again. An answer that is not the last message moves there, under a fresh id.

    Args:
        messages: the conversation.
        endings: where the answer of each attempt stands.
        chosen: which of them is returned.
        answer: its text, in case that its message is gone.
    """
    best = endings[chosen]
    rejected = {name for ending in endings if ending != best and not ending.evidence for name in ending.ids}
    gone = [m for m in messages if m.id in rejected or STOPPED in m.additional_kwargs]
    left = [m for m in messages if m not in gone]
    update: list[AnyMessage | RemoveMessage] = [_removed(m) for m in gone]
    final = [m for m in left if m.id in best.ids]
    if final and left[-1] is final[-1]:
        return update
    update += [_removed(m) for m in final]
    moved = [m.model_copy(update={"id": str(uuid4())}) for m in final]
    return [*update, *(moved or [AIMessage(answer, id=str(uuid4()))])]


def _removed(message: AnyMessage) -> RemoveMessage:
    return RemoveMessage(id=message.id or "")
