"""A judge that somebody hosts is asked under the prompt that it was trained on."""

from __future__ import annotations

import pytest

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.model import ModelJudge
from reagent_sdk.prompts import judge_prompt
from reagent_sdk.specs import judge_for
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer, Fault
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus

pytestmark = pytest.mark.anyio
WORK = (Task.of("What is 2 + 2?"), Trajectory(answer="4" * 3_000))
TEXT = judge_prompt("rrm-2").target(Verdict.of(0.8, "Check the sum again.", analysis="One step, no call."))
HOSTED = {"prompt_version": "rrm-2", "max_chars": 1_000}


async def ask(spec: str, times: int = 1) -> Verdict:
    judge = judge_for(spec)
    try:
        for _ in range(times):
            verdict = await judge.judge(*WORK)
        return verdict
    finally:
        await judge.aclose()


async def test_the_host_tells_prompt_and_room() -> None:
    with ChatServer([TEXT], judge=HOSTED) as server:
        verdict = await ask(server.base_url, times=3)
        assert (verdict.prompt_version, verdict.score) == ("rrm-2", 0.8)
        assert verdict.omitted_chars > 1_000
        asked = server.requests[0].body
        assert asked["messages"][0]["content"] == judge_prompt("rrm-2").instructions
        assert (asked["logprobs"], asked["top_logprobs"]) == (True, 20)
        assert "Grade: " in asked["structured_outputs"]["grammar"]
        assert server.models_asked == 1, "once, and not for each verdict"


async def test_a_spec_says_it_for_hosts_that_do_not() -> None:
    with ChatServer([TEXT]) as server:
        assert (await ask(f"{server.base_url}?prompt=rrm-2#test-model")).prompt_version == "rrm-2"
        assert (await ask(server.base_url)).prompt_version == "rrm-1"
    with ChatServer([TEXT], judge=HOSTED) as server:
        assert (await ask(f"{server.base_url}?prompt=rrm-1")).prompt_version == "rrm-1", "whoever says it decides"
    with pytest.raises(InvalidInput, match="it knows rrm-1, rrm-2"):
        judge_for("http://127.0.0.1:1/v1?prompt=rrm-9")


async def test_samples_of_a_hosted_judge_are_asked_in_the_same_way() -> None:
    with ChatServer([TEXT], judge=HOSTED) as server:
        judge = judge_for(server.base_url)
        assert isinstance(judge, ModelJudge)
        for sample in judge.samples(2):
            assert (await sample.judge(*WORK)).prompt_version == "rrm-2"
        await judge.aclose()


async def test_a_prompt_from_the_future_is_a_failed_verdict_and_a_list_is_no_must() -> None:
    with ChatServer([TEXT], judge={"prompt_version": "rrm-99"}) as server:
        verdict = await ask(server.base_url)
        assert verdict.status is VerdictStatus.UNAVAILABLE
        assert "rrm-99" in verdict.reason
    with ChatServer([TEXT], models_fault=Fault.status(404)) as server:
        assert (await ask(f"{server.base_url}#test-model")).scored
