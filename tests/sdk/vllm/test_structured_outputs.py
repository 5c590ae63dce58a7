"""Whether vLLM keeps to the grammar of a verdict, as we send it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from reagent_sdk import Verdict, VerdictStatus
from reagent_sdk.clients.base import Completion, Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.messages import Message
from reagent_sdk.prompts import VERDICT_GRAMMAR

from .server import MODEL, VllmServer
from .work import judge_all

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model]

COUNT = 16
LINE = r"[^<\n\r ][^<\n\r]{11,199}"
SHAPE = re.compile(
    rf"<analysis>\n{LINE}(\n{LINE}){{0,3}}\n</analysis>\n<critique>\n{LINE}\n</critique>\n<score>(0\.\d\d|1\.00)</score>"
)
"""The grammar once more, for another engine: our parser is kinder than the grammar."""


class Heard:
    """A client that keeps the replies as they came."""

    def __init__(self, client: OpenAICompatible) -> None:
        self.name, self.replies, self._client = client.name, list[str](), client

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        reply = await self._client.complete(messages, sampling)
        self.replies.append(reply.text)
        return reply

    async def aclose(self) -> None:
        await self._client.aclose()


async def ask(
    server: VllmServer, temperature: float, grammar: str | None, count: int = COUNT
) -> tuple[list[Verdict], list[str]]:
    client = Heard(OpenAICompatible(server.url, MODEL, timeout=800))
    verdicts = await judge_all(client, range(count), temperature=temperature, grammar=grammar)
    await client.aclose()
    return verdicts, client.replies


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_every_constrained_reply_is_a_verdict(
    server: VllmServer, temperature: float, figure: Callable[[str, str], None]
) -> None:
    verdicts, replies = await ask(server, temperature, VERDICT_GRAMMAR)
    assert [reply for reply in replies if not SHAPE.fullmatch(reply)] == []
    assert [verdict.status for verdict in verdicts] == [VerdictStatus.SCORED] * COUNT
    figure(f"constrained verdicts that parse, temperature {temperature:.0f}", f"{COUNT} of {COUNT}")


async def test_unconstrained_replies_are_not_all_verdicts(
    server: VllmServer, figure: Callable[[str, str], None]
) -> None:
    verdicts, replies = await ask(server, 1.0, None)
    scored = sum(verdict.scored for verdict in verdicts)
    assert scored < COUNT
    assert not all(SHAPE.fullmatch(reply) for reply in replies)
    assert all((verdict.score is not None) == verdict.scored for verdict in verdicts)
    figure("unconstrained verdicts that parse, temperature 1", f"{scored} of {COUNT}")


async def test_a_grammar_that_vllm_refuses_is_no_score(server: VllmServer) -> None:
    [verdict], replies = await ask(server, 0.0, 'root ::= "unclosed', count=1)
    assert (verdict.status, verdict.score, replies) == (VerdictStatus.UNAVAILABLE, None, [])
    assert "ModelRejected" in verdict.reason
