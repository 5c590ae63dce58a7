"""The shipped judge on the three engines: the same work, the same prompts, the same scores."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reagent_sdk import Verdict
from reagent_sdk.judges.calibrated import CalibratedJudge
from reagent_sdk.local_specs import DEFAULT_JUDGE
from reagent_sdk.models import SHIPPED
from reagent_sdk.specs import judge_for

from .server import VllmServer
from .work import case

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model]
COUNT = 8
ROOM = 400
"""Tokens of a verdict, twice what one takes: transformers has no grammar, and a reply that repeats itself takes all."""


async def verdicts(spec: str) -> list[Verdict]:
    judge = judge_for(spec)
    bare = judge._judge if isinstance(judge, CalibratedJudge) else judge  # calibrated scores lie closer together
    bare._secret = b"fixed"  # type: ignore[attr-defined]
    settings = bare.settings  # type: ignore[attr-defined]
    short = settings.sampling.model_copy(update={"max_tokens": ROOM})
    bare.settings = settings.model_copy(update={"sampling": short, "reasks": 0})  # type: ignore[attr-defined]
    try:
        return [await bare.judge(*case(number)) for number in range(COUNT)]
    finally:
        await judge.aclose()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft over transformers
async def test_three_engines_give_the_same_scores(server: VllmServer, figure: Callable[[str, str], None]) -> None:
    folder = SHIPPED[DEFAULT_JUDGE].folder
    by_engine = {
        "embedded": await verdicts("local"),
        "transformers": await verdicts(f"hf:{folder}"),
        "vLLM": await verdicts(f"{server.url}?prompt=rrm-2#{DEFAULT_JUDGE}"),
    }
    for name, found in by_engine.items():
        assert [verdict.status.value for verdict in found] == ["scored"] * COUNT, name
        assert all(verdict.said_score is not None for verdict in found), f"{name} reports no probabilities"
    reference = by_engine["transformers"]
    for name, found in by_engine.items():
        apart = [abs((one.score or 0) - (other.score or 0)) for one, other in zip(found, reference, strict=True)]
        same = sum(one.critique == other.critique for one, other in zip(found, reference, strict=True))
        figure(
            f"{name} against transformers",
            f"scores apart by {max(apart):.3f} at most, {same} of {COUNT} critiques alike",
        )
        assert max(apart) < 0.1
