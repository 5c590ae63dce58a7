"""A judge that is a chat model under the RRM prompt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import Field

from reagent_sdk import framing, step_labels
from reagent_sdk.clients.base import ChatClient, Completion, Sampling
from reagent_sdk.errors import BudgetExceeded, ContextOverflow, InvalidInput, ModelError, ReagentError
from reagent_sdk.frozen import Settings
from reagent_sdk.grading import TOP, expected_score
from reagent_sdk.leaks import leaked_answers
from reagent_sdk.messages import Message, assistant
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import CURRENT_PROMPT, GRADE, VERDICT_GRAMMAR, JudgePrompt, judge_prompt
from reagent_sdk.rendering import SMALLEST_ROOM, clip, render_record
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
    reasks: int = Field(1, ge=0, description="further asks after a reply that is unreadable, cut off or leaking")
    on_leak: Literal["reask", "flag"] = Field(
        "reask", description="a critique that states an answer is asked for again, or only flagged on the verdict"
    )
    steps: bool = Field(False, description="ask for a label of each step of the agent as well, see `Verdict.steps`")
    gate: float | None = Field(None, ge=0, le=1, description="accept threshold that ships with this judge")
    caveat: str = Field("", description="what every run by this judge should say about it")


class ModelJudge:
    """Judges with any chat client. Every failure is a verdict with its own status, never a number.

    An unreadable reply is asked for once more, with the reason and a changed sampling seed; a cut-off one with twice
    the room; a critique that gives an answer away is written anew, while the score stands. A record that overflows the
    model's window is rendered again at half the size. Judging several trajectories at once is safe.

    Args:
        client: the model; closed together with the judge.
        settings: prompt version, sampling and limits.
        secret: key of the frame codes; drawn at random by default, fixed for reproducible prompts.
        name: which judge its verdicts name; the client's name by default.
        prompt: another prompt than that of the settings' version, for experiments.
        parse: another reader of replies, for experiments; see :func:`parse_verdict`.

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
        prompt: JudgePrompt | None = None,
        parse: Callable[..., Verdict] = parse_verdict,
    ) -> None:
        self.client = client
        self.settings = settings or JudgeSettings()
        self.name = name or client.name
        self._prompt = prompt or judge_prompt(self.settings.prompt_version)
        told = prompt is not None or "prompt_version" in self.settings.model_fields_set
        self._ask_host = None if told else getattr(client, "hosted_judge", None)
        self._parse = parse
        self._secret = secret or framing.new_secret()

    def __repr__(self) -> str:
        return f"ModelJudge({self.name!r}, prompt={self._prompt.version!r})"

    @property
    def gate(self) -> float | None:
        """The accept threshold that ships with this judge; it was fitted without step labels, and holds without."""
        return None if self.settings.steps else self.settings.gate

    @property
    def prompt_version(self) -> str:
        """What its verdicts name: the prompt's version, marked where step labels are asked for as well."""
        return self._prompt.version + (step_labels.MARK if self.settings.steps else "")

    @property
    def caveat(self) -> str:
        """What a reader of its verdicts should know; empty for most judges."""
        return self.settings.caveat

    @property
    def calls_per_verdict(self) -> int:
        """The first ask and all further ones."""
        return 1 + self.settings.reasks

    def samples(self, count: int, *, temperature: float = 0.7) -> list[ModelJudge]:
        """Judges that differ in their sampling seed alone, for an ensemble.

        They share the client and the frame's code, so that an engine reads the record once for all of them.

        Raises:
            InvalidInput: fewer than one.
        """
        if count < 1:
            raise InvalidInput(f"the number of samples must be at least 1, not {count}")
        return [self._sampling(seed, temperature) for seed in range(1, count + 1)]

    def _sampling(self, seed: int, temperature: float) -> ModelJudge:
        given = self.settings.sampling
        warm = max(given.temperature or 0.0, temperature)
        sampling = given.model_copy(update={"seed": (given.seed or 0) + seed, "temperature": warm})
        settings = self.settings.model_copy(update={"sampling": sampling})
        prompt = None if self._ask_host else self._prompt
        return ModelJudge(self.client, settings, secret=self._secret, name=self.name, prompt=prompt, parse=self._parse)

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """Judges one trajectory.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
        """
        code = framing.nonce(self._secret, task.question)
        try:
            await self._adopt_hosted()
        except (ModelError, InvalidInput) as error:
            return self._failed(error)
        room = self.settings.max_chars
        while True:
            messages, omitted = self._prompt.messages(task, trajectory, code=code, max_chars=room)
            steps: Mapping[int, int] = {}
            if self.settings.steps:
                shown = render_record(task, trajectory, max_chars=room)
                steps = shown.steps
                messages = step_labels.with_request(messages, steps, shown.answer_step) if steps else messages
            try:
                verdict = await self._hear(messages, task, trajectory, steps)
            except ModelError as error:
                room //= 2
                if isinstance(error, ContextOverflow) and room >= SMALLEST_ROOM:
                    continue
                verdict = self._failed(error)
            return verdict.model_copy(
                update={
                    "critique": verdict.critique.replace(code, "?"),
                    "judge": self.name,
                    "prompt_version": self.prompt_version,
                    "omitted_chars": omitted,
                }
            )

    def _failed(self, error: ReagentError) -> Verdict:
        reason = f"{type(error).__name__}: {error}"
        failed = Verdict.failed(VerdictStatus.UNAVAILABLE, reason, judge=self.name)
        return failed.model_copy(update={"prompt_version": self.prompt_version})

    async def _adopt_hosted(self) -> None:
        """Asks a server once which prompt its judge was trained on, unless the settings say it.

        Raises:
            ModelError: the server could not be asked; the next verdict tries again.
            InvalidInput: it wants a prompt that is not known here.
        """
        if self._ask_host is None:
            return
        told = await self._ask_host()
        self._ask_host = None
        if isinstance(version := told.get("prompt_version"), str):
            self._prompt = judge_prompt(version)
        if isinstance(room := told.get("max_chars"), int) and "max_chars" not in self.settings.model_fields_set:
            self.settings = JudgeSettings.model_validate({**dict(self.settings), "max_chars": room})

    async def _hear(
        self, messages: Sequence[Message], task: Task, trajectory: Trajectory, steps: Mapping[int, int]
    ) -> Verdict:
        """Asks until there is a verdict that can be used or the asks are used up; returns the best there is."""
        sampling, usage, heard = self._sampling_for_prompt(steps), Usage(), None
        for asks in range(1, self.settings.reasks + 2):  # noqa: B007 - the count of the last ask is reported
            try:
                reply = await self.client.complete(messages, sampling)
            except (ModelError, BudgetExceeded):
                if heard is None or not heard.scored:
                    raise
                break  # only the critique was to be written anew; the score stands, and the leak stays flagged
            usage += reply.usage
            labelled = self._take_steps(reply, steps)
            verdict = self._read(_with_text(reply, labelled.rest), task, trajectory)
            heard = _merged(heard, _labelled(verdict, labelled))
            trouble = self._trouble(heard)
            if trouble is None:
                break
            if heard.status is VerdictStatus.TRUNCATED:
                sampling = _with_more_room(sampling)
            else:
                said, _ = clip(framing.defuse(reply.text).strip() or "(nothing)", 2_000)
                again = self._prompt.reask(trouble)
                if steps:
                    said, again = framing.defuse_steps(said), step_labels.request_again(again, steps)
                messages = [*messages, assistant(said), again]
                sampling = _reseeded(sampling)
        assert heard is not None  # noqa: S101 - there is at least one ask
        return heard.model_copy(update={"usage": usage, "asks": asks})

    def _sampling_for_prompt(self, steps: Mapping[int, int]) -> Sampling:
        """A graded verdict has a grammar of its own, and its score is read from the probabilities of the grade.

        Labels of steps lengthen the grammar and the room.
        """
        sampling = self.settings.sampling
        if self._prompt.graded:
            grammar = self._prompt.grammar if sampling.grammar == VERDICT_GRAMMAR else sampling.grammar
            sampling = sampling.model_copy(update={"grammar": grammar, "top_logprobs": TOP})
        if not steps:
            return sampling
        room = sampling.max_tokens and sampling.max_tokens + step_labels.TOKENS_PER_STEP * (len(steps) + 1)
        grammar = step_labels.with_steps(sampling.grammar, steps)
        return sampling.model_copy(update={"grammar": grammar, "max_tokens": room})

    def _take_steps(self, reply: Completion, steps: Mapping[int, int]) -> step_labels.ReadSteps:
        """The reply without its labels of steps, and these labels where they were asked for."""
        if steps:
            return step_labels.take_steps(reply.text, steps, truncated=reply.truncated)
        why = "the record shows no step of the agent" if self.settings.steps else ""
        return step_labels.ReadSteps(reply.text, (), why)

    def _read(self, reply: Completion, task: Task, trajectory: Trajectory) -> Verdict:
        verdict = self._parse(reply.text, reasoning=reply.message.reasoning, truncated=reply.truncated)
        score = expected_score(GRADE, reply.alternatives) if self._prompt.graded and verdict.scored else None
        if score is not None:
            verdict = verdict.model_copy(update={"score": round(score, 4), "said_score": verdict.score})
        return verdict.model_copy(update={"leaks": leaked_answers(verdict.critique, task, trajectory)})

    def _trouble(self, verdict: Verdict) -> str | None:
        """What is wrong with a verdict, in words for the judge; None when nothing is."""
        if verdict.status in (VerdictStatus.TRUNCATED, VerdictStatus.UNPARSEABLE):
            return verdict.reason
        if verdict.leaks and self.settings.on_leak == "reask":
            return "the critique states an answer; it must name the flaw and never an answer or a result"
        return None

    async def aclose(self) -> None:
        """Closes the client."""
        await self.client.aclose()


def _with_text(reply: Completion, text: str) -> Completion:
    """The reply with another text; itself where that is the same."""
    if text == reply.text:
        return reply
    return reply.model_copy(update={"message": reply.message.model_copy(update={"content": text})})


def _labelled(verdict: Verdict, read: step_labels.ReadSteps) -> Verdict:
    """The verdict with what was read of its steps; one that could not be read has a reason of its own."""
    if verdict.status not in (VerdictStatus.SCORED, VerdictStatus.ABSTAINED):
        return verdict
    return verdict.model_copy(update={"steps": read.labels, "steps_reason": read.reason})


def _with_more_room(sampling: Sampling) -> Sampling:
    return sampling.model_copy(update={"max_tokens": 2 * (sampling.max_tokens or 1024)})


def _reseeded(sampling: Sampling) -> Sampling:
    """Another draw: the same request at temperature 0 would fail in the same way."""
    warmer = max(sampling.temperature or 0.0, 0.5)
    return sampling.model_copy(update={"seed": (sampling.seed or 0) + _REASK_SEED, "temperature": warmer})


def _merged(before: Verdict | None, now: Verdict) -> Verdict:
    """After a leak only the critique is written anew: the first score stands, also when nothing better came."""
    if before is None or not before.leaks:
        return now
    return before.model_copy(update={"critique": now.critique, "leaks": now.leaks}) if now.scored else before
