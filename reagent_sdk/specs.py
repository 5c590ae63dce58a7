"""One notation for models and judges, in code, in `$REAGENT_JUDGE` and on the command line.

local                        embedded: as an agent the small model for trying things out, as a judge agent-rrm-tiny
local:NAME or local:PATH     a known model, a GGUF file or a folder of weights; `?lora=FILE.gguf` adds an adapter,
                             (`agent-rrm-tiny`, the judge of this package, names its own),
                             `?slots=8` (joined by `&`) answers so many calls at a time, `?context=` and `?threads=`
http://host:8001/v1          an OpenAI-compatible server, called directly; `#MODEL` picks a model it serves, and for
                             a judge `?prompt=rrm-2` names the prompt that it was trained on
hf:ORG/NAME or hf:PATH       Hugging Face weights, run by transformers (extra `hf`)
provider/model               any model that litellm knows, such as openai/gpt-5 or hosted_vllm/Qwen/Qwen3-8B

`steps:` before the spec of a judge asks it to label each step of the agent as well, see :attr:`Verdict.steps`.

Judges may be composed as well, see :mod:`reagent_sdk.judges.composed`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from reagent_sdk.agents import ModelAgent
from reagent_sdk.clients.base import ChatClient, Sampling, runs_here
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import CallableJudge, Judge
from reagent_sdk.judges.fallback import FallbackJudge
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.local_specs import DEFAULT_JUDGE, local_client, local_reference, settings_of
from reagent_sdk.models.manifest import read_manifest
from reagent_sdk.prompts import judge_prompt

if TYPE_CHECKING:
    from reagent_sdk.tools.agent import ToolAgent

LOCAL_MAX_TOKENS = 1024
LOCAL_WINDOW_CHARS = 16_000
JUDGE_VARIABLE = "REAGENT_JUDGE"
STEPS = "steps:"
FORMS = "local, local:NAME_OR_PATH, http://HOST:PORT/v1[#MODEL], hf:NAME_OR_PATH or provider/model"

JudgeLike: TypeAlias = "str | Judge | Callable[..., Any] | list[JudgeLike] | tuple[JudgeLike, ...] | None"


def client_for(spec: str) -> ChatClient:
    """The client of a model spec.

    Raises:
        InvalidInput: the spec has none of the known forms.
        WeightsUnavailable: local weights are missing.
    """
    if (reference := local_reference(spec)) is not None:
        return local_client(reference)
    if spec.startswith("hf:") and spec != "hf:":
        from reagent_sdk.clients.transformers_client import Transformers

        return Transformers(spec.removeprefix("hf:"))
    if spec.startswith(("http://", "https://")):
        from reagent_sdk.clients.openai_compatible import OpenAICompatible

        url, _, model = spec.partition("#")
        return OpenAICompatible(url, model or None)
    provider, slash, model = spec.partition("/")
    if slash and provider and model and ":" not in provider and not spec.startswith((".", "~")):
        from reagent_sdk.clients.litellm_client import LiteLLM

        return LiteLLM(spec)
    raise InvalidInput(f"{spec!r} does not name a model; write {FORMS}")


def agent_for(spec: str | ChatClient, tools: Sequence[Any] | None = None) -> ModelAgent | ToolAgent:
    """A model as an agent, a tool-calling one when there are tools.

    Local models get a limit on their output, because small ones do not always find an end, and a small window. An agent
    of our own training gets the instructions that it was trained under.

    Raises:
        InvalidInput: the spec has none of the known forms, or something is not a tool.
        WeightsUnavailable: local weights are missing.
    """
    client = client_for(spec) if isinstance(spec, str) else spec
    instructions = _trained_under(spec) if isinstance(spec, str) else ""
    local = runs_here(client)
    sampling = Sampling(max_tokens=LOCAL_MAX_TOKENS) if local else Sampling()
    if tools is None:
        return ModelAgent(client, instructions=instructions, sampling=sampling)
    from reagent_sdk.tools.agent import AgentSettings, ToolAgent

    window = {"window_chars": LOCAL_WINDOW_CHARS} if local else {}
    return ToolAgent(client, tools, AgentSettings(instructions=instructions, sampling=sampling, **window))


def _trained_under(spec: str) -> str:
    """The system message that an agent of this machine was trained under, as its `reagent.json` has it."""
    reference = local_reference(spec)
    weights = _weights_here(spec) if reference is None else reference.weights
    manifest = read_manifest(weights) if weights is not None and weights.exists() else None
    return manifest.instructions if manifest is not None and manifest.role == "agent" else ""


def judge_for(judge: JudgeLike, *, adapt: Callable[[ModelJudge], ModelJudge] | None = None) -> Judge:
    """The judge that is meant: a spec, a judge, a function `(task, trajectory)`, or several to be asked in order.

    None means `$REAGENT_JUDGE`, else agent-rrm-tiny, the embedded judge that comes with this package.

    Args:
        judge: which one.
        adapt: changes each model that a spec names, before it is calibrated or combined with others.

    Raises:
        InvalidInput: none of these.
        WeightsUnavailable: local weights are missing.
    """
    if judge is None:
        judge = os.environ.get(JUDGE_VARIABLE) or "local"
    if isinstance(judge, str):
        from reagent_sdk.judges.composed import composed

        return composed(judge, lambda spec: judge_for(spec, adapt=adapt)) or _model_judge(judge, adapt)
    if isinstance(judge, Judge):
        return judge
    if isinstance(judge, list | tuple):
        return FallbackJudge([judge_for(one, adapt=adapt) for one in judge])
    if callable(judge):
        return CallableJudge(judge)
    raise InvalidInput(f"a judge is a spec ({FORMS}), a function (task, trajectory) or a Judge, not {judge!r}")


def _model_judge(spec: str, adapt: Callable[[ModelJudge], ModelJudge] | None) -> Judge:
    plain = spec.removeprefix(STEPS)
    labels_steps = plain != spec
    spec, settings = _with_prompt(plain)
    try:
        reference = local_reference(spec, DEFAULT_JUDGE)
        client = client_for(spec) if reference is None else local_client(reference)
    except InvalidInput as error:
        raise InvalidInput(f"unknown judge: {error}") from None
    weights = _weights_here(spec) if reference is None else reference.weights
    if weights is not None:
        settings = settings_of(weights, spec)
    if labels_steps:
        settings = (settings or JudgeSettings()).model_copy(update={"steps": True})
    judge = ModelJudge(client, settings)
    judge = adapt(judge) if adapt else judge
    if weights is None or judge.settings.steps:  # a calibration beside weights was fitted without labels of steps
        return judge
    from reagent_sdk.calibration.card import FILE_NAME, read_calibration
    from reagent_sdk.judges.calibrated import CalibratedJudge

    card = weights.with_name(FILE_NAME) if weights.is_file() else weights / FILE_NAME
    if not card.is_file():
        return judge
    calibration = read_calibration(card)
    if reference is None:  # fitted on the embedded engine; transformers runs the same weights under another name
        calibration = calibration.model_copy(update={"judge": judge.name})
    return CalibratedJudge(judge, calibration)


def _weights_here(spec: str) -> Path | None:
    """The folder that an `hf` spec names; None for hub ids and specs of other forms."""
    folder = Path(spec.removeprefix("hf:")).expanduser()
    return folder if spec.startswith("hf:") and folder.is_dir() else None


def _with_prompt(spec: str) -> tuple[str, JudgeSettings | None]:
    """Takes `?prompt=VERSION` off the address of a server."""
    address, question, asked = spec.partition("?prompt=")
    if not question or not spec.startswith(("http://", "https://")):
        return spec, None
    version, _, model = asked.partition("#")
    settings = JudgeSettings(prompt_version=judge_prompt(version).version)
    return address + (f"#{model}" if model else ""), settings
