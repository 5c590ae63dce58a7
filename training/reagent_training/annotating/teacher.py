"""The teacher: a judge under the rubric whose texts must not give away what only it was told."""

from __future__ import annotations

import re

from reagent_sdk import framing
from reagent_sdk.clients.base import ChatClient, Completion, Sampling, runs_here
from reagent_sdk.clients.litellm_client import LiteLLM
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.prompts import VERDICT_GRAMMAR
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus
from reagent_training.annotating.rubric import Known, teacher_prompt
from reagent_training.annotating.shape import parse_target
from reagent_training.data.answers import gives_away, named_in

MAX_TOKENS, LOCAL_TOKENS = 2_048, 640
LOCAL_CHARS = 16_000
TELLS = "the analysis says what can only be known from the outcome; argue from the record alone, without the answer"
"""The reason of a reply that is asked for again because of its analysis."""

_SPEAKS_OF_IT = re.compile(
    r"\b(?:reference|gold(?:en)?|ground[- ]truth) (?:answer|solution|label|value)s?\b"
    r"|\bground[- ]truth\b|\banswer key\b|\b(?:I|we) (?:was|were|am|are) told\b|\bknown of the outcome\b"
    r"|\b(?:was|is|been) (?:checked and is|graded|marked as) (?:right|wrong|correct|incorrect)\b",
    re.IGNORECASE,
)


class Teacher(ModelJudge):
    """Reviews one record. It asks once more after an unreadable or leaking reply, and never makes up a number.

    Args:
        client: the model; shared, and not closed here.
        settings: see :func:`teacher_settings`.
        secret: key of the frame codes.
        known: what is known of the record; also what its critique must not hold.
        show: whether the teacher is told it.

    Attributes:
        asked: its prompt.
        told: whether the prompt tells anything of the outcome.
    """

    def __init__(self, client: ChatClient, settings: JudgeSettings, *, secret: bytes, known: Known, show: bool) -> None:
        self.asked = teacher_prompt(known if show else None)
        super().__init__(client, settings, secret=secret, prompt=self.asked, parse=parse_target)
        self._known = known
        self.told = bool(self.asked.known)

    def _read(self, reply: Completion, task: Task, trajectory: Trajectory) -> Verdict:
        """The verdict in its shape; unreadable where it tells what only the teacher knows, with leaks flagged."""
        verdict = super()._read(reply, task, trajectory)
        if not verdict.scored:
            return verdict
        if self.told and tells(verdict, task, trajectory, self._known.references):
            return Verdict.failed(VerdictStatus.UNPARSEABLE, TELLS)
        leaks = gives_away(verdict.critique, task, trajectory, self._known.references)
        return verdict.model_copy(update={"leaks": leaks})


def tells(verdict: Verdict, task: Task, trajectory: Trajectory, references: tuple[str, ...]) -> bool:
    """Whether the texts speak of the outcome, or the analysis names a right answer that the work does not hold."""
    if _SPEAKS_OF_IT.search(f"{verdict.analysis}\n{verdict.critique}"):
        return True
    called = (call.arguments_text for message in trajectory.messages for call in message.tool_calls or ())
    said = (message.text for message in (*task.messages, *trajectory.messages))
    held = named_in("\n".join((*said, *called, trajectory.answer)), references)
    return bool(set(named_in(verdict.analysis, references)) - set(held))


def teacher_settings(client: ChatClient, max_tokens: int | None = None) -> JudgeSettings:
    """How a teacher is asked.

    Servers that can are held to the verdict's grammar. litellm leaves out what a provider does not take, such as the
    temperature of some reasoning models.

    Args:
        client: the model.
        max_tokens: longest reply; by default 2,048, and 640 for local weights.
    """
    local = runs_here(client)
    extra: dict[str, object] = {"drop_params": True} if isinstance(client, LiteLLM) else {}
    if client.name.startswith("local:"):
        extra = {"repeat_penalty": 1.1}
    sampling = Sampling(
        temperature=0.0,
        max_tokens=max_tokens or (LOCAL_TOKENS if local else MAX_TOKENS),
        grammar=VERDICT_GRAMMAR,
        extra=extra,
    )
    return JudgeSettings(sampling=sampling, **({"max_chars": LOCAL_CHARS} if local else {}))


def new_secret() -> bytes:
    """A key for the frame codes of one run."""
    return framing.new_secret()
