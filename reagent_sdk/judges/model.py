"""A judge that is a chat model under the RRM prompt."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from reagent_sdk import framing
from reagent_sdk.clients.base import ChatClient, Sampling
from reagent_sdk.errors import ContextOverflow, ModelError
from reagent_sdk.frozen import Settings
from reagent_sdk.messages import Message, assistant
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import CURRENT_PROMPT, VERDICT_GRAMMAR, judge_prompt
from reagent_sdk.rendering import SMALLEST_ROOM, clip
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict, VerdictStatus

_REASK_SEED = 7919


class JudgeSettings(Settings):
    """How a model judges."""

    prompt_version: str = CURRENT_PROMPT
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024, grammar=VERDICT_GRAMMAR)
    max_chars: int = Field(48_000, ge=SMALLEST_ROOM, description="room for the record in the prompt, in characters")
    reasks: int = Field(1, ge=0, description="further asks after a reply that is unreadable or cut off")
    gate: float | None = Field(None, ge=0, le=1, description="accept threshold that ships with this judge")
    caveat: str = Field("", description="what every run by this judge should say about it")


class ModelJudge:
    """Judges with any chat client. Every failure is a verdict with its own status, never a number.

    An unreadable reply is asked for once more, with the reason and a changed sampling seed; a cut-off one with twice
    the room. A record that overflows the model's window is rendered again at half the size. Judging several
    trajectories at once is safe.

    Args:
        client: the model; closed together with the judge.
        settings: prompt version, sampling and limits.
        secret: key of the frame codes; drawn at random by default, fixed for reproducible prompts.
        name: which judge its verdicts name; the client's name by default.

    Raises:
        InvalidInput: the prompt version is unknown.
    """

    def __init__(
        self,
        client: ChatClient,
        settings: JudgeSettings | None = None,
        *,
        secret: bytes | None = None,
        name: str | None = None,
    ) -> None:
        self.client = client
        self.settings = settings or JudgeSettings()
        self.name = name or client.name
        self._prompt = judge_prompt(self.settings.prompt_version)
        self._secret = secret or framing.new_secret()

    def __repr__(self) -> str:
        return f"ModelJudge({self.name!r}, prompt={self._prompt.version!r})"

    @property
    def gate(self) -> float | None:
        """The accept threshold that ships with this judge."""
        return self.settings.gate

    @property
    def caveat(self) -> str:
        """What a reader of its verdicts should know; empty for most judges."""
        return self.settings.caveat

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """Judges one trajectory.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
        """
        code = framing.nonce(self._secret, task.question)
        room = self.settings.max_chars
        while True:
            messages, omitted = self._prompt.messages(task, trajectory, code=code, max_chars=room)
            try:
                verdict = await self._hear(messages)
            except ModelError as error:
                room //= 2
                if isinstance(error, ContextOverflow) and room >= SMALLEST_ROOM:
                    continue
                verdict = Verdict.failed(VerdictStatus.UNAVAILABLE, f"{type(error).__name__}: {error}")
            return verdict.model_copy(
                update={
                    "critique": verdict.critique.replace(code, "?"),
                    "judge": self.name,
                    "prompt_version": self._prompt.version,
                    "omitted_chars": omitted,
                }
            )

    async def _hear(self, messages: Sequence[Message]) -> Verdict:
        """Asks until there is a readable verdict or the asks are used up; returns the last one."""
        sampling, usage = self.settings.sampling, Usage()
        for asks in range(1, self.settings.reasks + 2):  # noqa: B007 - the count of the last ask is reported
            reply = await self.client.complete(messages, sampling)
            usage += reply.usage
            verdict = parse_verdict(reply.text, reasoning=reply.message.reasoning, truncated=reply.truncated)
            if verdict.status is VerdictStatus.TRUNCATED:
                sampling = _with_more_room(sampling)
            elif verdict.status is VerdictStatus.UNPARSEABLE:
                said, _ = clip(framing.defuse(reply.text).strip() or "(nothing)", 2_000)
                messages = [*messages, assistant(said), self._prompt.reask(verdict.reason)]
                sampling = _reseeded(sampling)
            else:
                break
        return verdict.model_copy(update={"usage": usage, "asks": asks})

    async def aclose(self) -> None:
        """Closes the client."""
        await self.client.aclose()


def _with_more_room(sampling: Sampling) -> Sampling:
    return sampling.model_copy(update={"max_tokens": 2 * (sampling.max_tokens or 1024)})


def _reseeded(sampling: Sampling) -> Sampling:
    """Another draw: the same request at temperature 0 would fail in the same way."""
    warmer = max(sampling.temperature or 0.0, 0.5)
    return sampling.model_copy(update={"seed": (sampling.seed or 0) + _REASK_SEED, "temperature": warmer})
