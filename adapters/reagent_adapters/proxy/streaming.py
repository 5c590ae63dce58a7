"""A request's answers as the chunks of a stream.

`final_only`: nothing but what was chosen. `drafts`: besides, attempts while they are written, in a field that clients
which do not know of it never look at: the texts in `delta.content` are the chosen answer in either mode.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from reagent_adapters.proxy.ask import Ask
from reagent_adapters.proxy.chunks import chunk, chunks_of, frame_of
from reagent_adapters.proxy.report import summed
from reagent_adapters.proxy.rules import FIELD
from reagent_adapters.proxy.runs import Choice, Runner, cancelled
from reagent_adapters.proxy.upstream import Json, Origin
from reagent_sdk.clients.replies import usage_from
from reagent_sdk.events import AttemptJudged, AttemptSolved, AttemptStarted, Event, TextDelta


async def stream_of(runner: Runner, ask: Ask, origin: Origin) -> AsyncGenerator[Json, None]:
    """The chunks of a request's stream. Leaving it early cancels the runs.

    Raises:
        Exception: what a run raised.
    """
    shown = Shown(ask) if ask.rules.drafts else None
    works = runner.start(ask, origin, shown.observer if shown else None)
    usages: list[object] = []
    frame: Json = {} if shown is None else shown.frame
    try:
        pending = set(works)
        while pending:
            if shown is not None:
                await shown.news(pending)
            done, pending = await asyncio.wait(pending, timeout=0 if shown else None, return_when="FIRST_COMPLETED")
            for drafted in shown.take() if shown else ():
                yield drafted
            for choice in sorted((work.result() for work in done), key=lambda one: one.index):
                usages += choice.usages
                if not frame and ask.n > 1:
                    frame = {name: frame_of(choice.reply).get(name) for name in ("id", "created")}
                for told in shown.settle(choice) if shown else ():
                    yield told
                for piece in chunks_of(choice.reply, choice.index, frame, {FIELD: choice.report}):
                    yield piece
                last = frame_of(choice.reply) | frame
        usage = summed(usages)
        used = usage_from(usage)
        origin.account.usage = None if used.unmetered_calls else used
        if ask.include_usage and usage:
            yield {**last, "choices": [], "usage": usage}
    finally:
        await cancelled(works)


async def without_usage(chunks: AsyncGenerator[Json, None]) -> AsyncGenerator[Json, None]:
    """The same chunks without the usage that only the proxy asked for."""
    async with aclosing(chunks):
        async for one in chunks:
            if one.get("choices"):
                yield {name: value for name, value in one.items() if name != "usage"}


class Shown:
    """The drafts of one request, on their way to somebody who watches them being written.

    Text that nobody has taken yet is held in one piece for each attempt: a slow reader costs no more than the text.

    Args:
        ask: the request.
    """

    def __init__(self, ask: Ask) -> None:
        model = ask.body.get("model")
        self.frame: Json = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time())}
        self._named = {**self.frame, "object": "chat.completion.chunk", "model": model if model else "upstream"}
        self._waiting: list[tuple[int, Json]] = []
        self._attempt: dict[int, int] = {}
        self._seen: dict[int, int] = {}
        self._scores: dict[int, float | None] = {}
        self._changed = asyncio.Event()

    def observer(self, index: int) -> Any:
        """The observer of one run."""

        def observe(event: Event) -> None:
            self._note(index, event)

        return observe

    async def news(self, works: set[asyncio.Task[Choice]]) -> None:
        """Waits until there is something to show, or a run has ended."""
        waiting = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({waiting, *works}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        self._changed.clear()

    def take(self) -> Iterator[Json]:
        """The chunks that are to be shown now."""
        waiting, self._waiting = self._waiting, []
        for index, told in waiting:
            yield chunk(self._named, index, {}, more={FIELD: told})

    def settle(self, choice: Choice) -> Iterator[Json]:
        """What ends the drafts of one answer: which of them it is, after taking back one that it is not."""
        final, index = choice.report["chosen"], choice.index
        seen = self._seen.get(index)
        if seen is not None and seen != final:
            attempts = choice.report["attempts"]
            critique = attempts[seen]["critique"] if seen < len(attempts) else ""
            self._retract(index, seen, critique)
        self._waiting.append((index, {"event": "final", "attempt": final}))
        yield from self.take()

    def _note(self, index: int, event: Event) -> None:
        if isinstance(event, AttemptStarted):
            if event.feedback is not None:
                self._retract(index, event.index - 1, event.feedback)
            self._attempt[index] = event.index
        elif isinstance(event, TextDelta) and event.stage == "agent":
            self._show(index, event.text)
        elif isinstance(event, AttemptSolved) and self._seen.get(index) != event.index:
            self._show(index, event.trajectory.answer)  # an upstream that does not write live
        elif isinstance(event, AttemptJudged):
            self._scores[index] = event.verdict.score

    def _show(self, index: int, text: str) -> None:
        attempt = self._seen[index] = self._attempt[index]
        last = self._waiting[-1] if self._waiting else None
        if last and last[0] == index and last[1]["event"] == "draft" and last[1]["attempt"] == attempt:
            last[1]["delta"] += text
        else:
            self._waiting.append((index, {"event": "draft", "attempt": attempt, "delta": text}))
        self._changed.set()

    def _retract(self, index: int, attempt: int, critique: str) -> None:
        told = {"event": "retract", "attempt": attempt, "score": self._scores.pop(index, None), "critique": critique}
        self._waiting.append((index, told))
        self._changed.set()
