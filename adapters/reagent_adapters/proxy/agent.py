"""The upstream model as the agent of a run: it drafts by the request, and revises by the request and a critique."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reagent_adapters.proxy.turn import Turn
from reagent_adapters.proxy.upstream import Json, Origin, Upstream
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.clients.replies import usage_from
from reagent_sdk.errors import AgentError
from reagent_sdk.prompts import revision_request
from reagent_sdk.serving.answers import Refused
from reagent_sdk.task import Task


class NotFinal(Exception):
    """A first reply that is no final answer and goes to the caller as it is.

    Attributes:
        reply: the completion.
        why: what it is instead.
    """

    def __init__(self, reply: Json, why: str) -> None:
        super().__init__(why)
        self.reply = reply
        self.why = why


class UpstreamAgent:
    """Makes the attempts of one run. Single use.

    The proxy cannot call the caller's tools, so a revision is asked for without them: they stay in the request, which
    keeps the prompt the same for the upstream's template and cache, and `tool_choice` forbids their use.

    Args:
        upstream: the model.
        body: the request, see `Ask.body_of`.
        turn: the same conversation, as the loop sees it.
        origin: whose it is.
        live: whether attempts are shown while they are written.

    Attributes:
        replies: all completions so far, in order.
    """

    def __init__(self, upstream: Upstream, body: Mapping[str, Any], turn: Turn, origin: Origin, *, live: bool) -> None:
        self._upstream = upstream
        self._body = body
        self._turn = turn
        self._origin = origin
        self._live = live
        self.replies: list[Json] = []

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Asks the upstream once. The work's output is its completion.

        Raises:
            NotFinal: the first reply calls tools, or has no words.
            AgentError: a revision does.
            Refused: the upstream failed.
            BudgetExceeded: the run's budget does not allow another call.
        """
        body = self._body if feedback is None else self._revision(feedback)
        reply = await self._upstream.complete(body, self._origin, live=self._live)
        self.replies.append(reply)
        why = _not_final(reply)
        if why:
            raise NotFinal(reply, why) if feedback is None else AgentError(f"the revision is no answer: {why}")
        try:
            trajectory = self._turn.trajectory(reply)
        except ValueError:  # pydantic's: a message that no judge can read
            told = "the upstream's message is malformed"
            raise NotFinal(reply, told) if feedback is None else Refused(502, told) from None
        return Work(trajectory.model_copy(update={"usage": usage_from(reply.get("usage"))}), reply)

    async def aclose(self) -> None:
        """Nothing to free."""

    def _revision(self, feedback: Feedback) -> dict[str, Any]:
        messages = [
            *self._body["messages"],
            # Without the server's other fields: not every server takes back what it sent.
            {"role": "assistant", "content": feedback.previous.answer},
            {"role": "user", "content": revision_request(feedback.critique)},
        ]
        body = {**self._body, "messages": messages}
        if body.get("tools"):
            body["tool_choice"] = "none"
        if body.get("functions"):
            body["function_call"] = "none"
        return body


def _not_final(reply: Json) -> str:
    """What a completion is if it is no final answer in words; empty if it is one."""
    message = reply["choices"][0]["message"]
    if message.get("tool_calls") or message.get("function_call"):
        return "tool calls"
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return "" if isinstance(content, str) and content.strip() else "no words to judge"
