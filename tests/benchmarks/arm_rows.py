"""Made-up results of agent benchmarks: what a study of a few arms leaves behind."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from reagent_benchmarks.outcomes import ArmResult, Outcome

from reagent_sdk import Message, Run, StopReason, Task, Trajectory, Verdict
from reagent_sdk.messages import ToolCall
from reagent_sdk.run import Attempt
from reagent_sdk.verdict import VerdictStatus

PLACES = ("Lisbon", "Oslo", "Quito", "Hanoi", "Accra", "Lima", "Riga", "Sofia", "Cairo", "Bern")


def row(sample: str, arm: str, right: bool | None, **changes: object) -> ArmResult:
    """A row without a run; `right` None is an agent that crashed."""
    outcome = Outcome.AGENT_FAILED if right is None else Outcome.RIGHT if right else Outcome.WRONG
    fields = {"benchmark": "toy", "sample": sample, "arm": arm, "outcome": outcome} | changes
    if Outcome(str(fields["outcome"])).graded:
        fields.setdefault("answer", "an answer")
    return ArmResult.model_validate(fields)


def attempt(index: int, answer: str, verdict: Verdict | None, *, before: Sequence[Message] = ()) -> Attempt:
    """An attempt that searches once, and goes on from the messages before it."""
    call = ToolCall.make("search", {"query": f"capital, try {index + 1}", "limit": 5}, id=f"call_{index}")
    messages = (
        *before,
        Message(role="assistant", content=f"I look it up, try {index + 1}.", tool_calls=(call,)),
        Message(role="tool", content=f"1. {answer} - an article\n2. another article", tool_call_id=call.id),
        Message(role="assistant", content=f"The answer is {answer}."),
    )
    feedback = "The source does not name the city. Look again." if index else None
    return Attempt(
        index=index, trajectory=Trajectory(messages=messages, answer=answer), verdict=verdict, feedback=feedback
    )


def study(questions: int, *, arms: Sequence[str] = ("bare", "critique", "gated"), seed: int = 0) -> Iterator[ArmResult]:
    """Rows of all arms with their runs: most first attempts are right, revisions fix more than they break."""
    draw = random.Random(seed)
    for number in range(questions):
        right, wrong = draw.sample(PLACES, 2)
        first = draw.random() < 0.55
        score = min(1.0, max(0.0, draw.gauss(0.7 if first else 0.4, 0.2)))
        told = Verdict.of(
            score, "The source does not name the city.", analysis="The search result is thin.", judge="toy"
        )
        draft = attempt(0, right if first else wrong, told)
        for arm in arms:
            revised = arm != "bare" and (arm == "critique" or score < 0.5)
            failed = arm != "bare" and draw.random() < 0.04
            after = (draw.random() < 0.9) if first else (draw.random() < 0.35)
            yield _result(
                number, arm, draft, draw, first=first, after=after, revised=revised, failed=failed, right=right
            )


def _result(
    number: int,
    arm: str,
    draft: Attempt,
    draw: random.Random,
    *,
    first: bool,
    after: bool,
    revised: bool,
    failed: bool,
    right: str,
) -> ArmResult:
    attempts = [draft]
    if failed:
        unread = Verdict(
            status=VerdictStatus.UNPARSEABLE, reason="two scores where one belongs", raw="<score>?", judge="toy"
        )
        attempts = [draft.model_copy(update={"verdict": unread})]
    elif revised:
        answer = right if after else draw.choice([place for place in PLACES if place != right])
        score = min(1.0, max(0.0, draw.gauss(0.75 if after else 0.45, 0.2)))
        verdict = Verdict.of(score, "Name the source.", analysis="Better than before.", judge="toy")
        attempts.append(attempt(1, answer, verdict, before=draft.trajectory.messages[:2]))
    is_right = after if len(attempts) > 1 else first
    crashed = draw.random() < 0.02
    stop = StopReason.JUDGE_FAILED if failed else StopReason.ROUNDS
    run = Run(
        id=f"run-{number}-{arm}",
        task=Task(question=f"Which city is capital number {number}? Name only the city.", id=f"q{number}"),
        attempts=tuple(attempts),
        chosen=len(attempts) - 1,
        stop=stop,
        why="the last attempt was chosen",
    )
    return ArmResult(
        benchmark="capitals",
        sample=f"q{number}",
        arm=arm,
        outcome=Outcome.TIMED_OUT if crashed else Outcome.RIGHT if is_right else Outcome.WRONG,
        why="ran for more than 60 s" if crashed else "",
        answer=None if crashed else attempts[-1].answer,
        references=(right,),
        first=Outcome.RIGHT if first else Outcome.WRONG,
        judge_failed=failed,
        score=attempts[-1].score,
        attempts=len(attempts),
        calls=1 + 2 * (arm != "bare") * len(attempts),
        tokens=draw.randint(300, 500) * (1 if arm == "bare" else 2 * len(attempts)),
        cost_usd=0.0004 * (1 if arm == "bare" else 2 * len(attempts)),
        seconds=draw.uniform(0.5, 2) * len(attempts),
        run=run,
    )
