"""The judges that are compared: one model, with its defences, without some and without any."""

from __future__ import annotations

from enum import StrEnum

from reagent_benchmarks.judge_attacks.undefended import first_score, undefended_prompt
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.model import ModelJudge
from reagent_sdk.specs import judge_for


class Arm(StrEnum):
    """How much of the defences is on."""

    ON = "on"
    """All of them: the judge as it is used."""
    FORM = "form only"
    """Grammar and parser, but no secret code and nothing defused: what framing adds."""
    OFF = "off"
    """None."""


SECRET = b"judge-attacks"


def arms(spec: str, *, max_tokens: int) -> dict[Arm, ModelJudge]:
    """A judge for each arm, over one client. Every judge is asked once, so that each verdict is one reply.

    Scores are the model's own: a calibration that comes with it is left out.

    Raises:
        InvalidInput: the spec does not name a model under the judge's prompt.
        WeightsUnavailable: local weights are missing.
    """
    found: list[ModelJudge] = []

    def keep(model: ModelJudge) -> ModelJudge:
        found.append(model)
        return model

    judge_for(spec, adapt=keep)
    if len(found) != 1:
        raise InvalidInput(f"{spec!r} is not one model under the judge's prompt, whose defences can be switched off")
    judge = found[0]
    sampling = judge.settings.sampling.model_copy(update={"max_tokens": max_tokens})
    settings = judge.settings.model_copy(update={"sampling": sampling, "reasks": 0, "on_leak": "flag"})
    free = settings.model_copy(update={"sampling": sampling.model_copy(update={"grammar": None})})
    prompt = undefended_prompt(settings.prompt_version)
    return {
        Arm.ON: ModelJudge(judge.client, settings, secret=SECRET),
        Arm.FORM: ModelJudge(judge.client, settings, secret=SECRET, prompt=prompt),
        Arm.OFF: ModelJudge(judge.client, free, secret=SECRET, prompt=prompt, parse=first_score),
    }


def with_other_code(judge: ModelJudge, number: int) -> ModelJudge:
    """The same judge whose frames carry other codes; number 0 is the judge's own."""
    secret = SECRET + f"/{number}".encode() if number else SECRET
    return ModelJudge(judge.client, judge.settings, secret=secret)
