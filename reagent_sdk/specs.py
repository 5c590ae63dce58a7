"""One notation for models and judges, in code, in `$REAGENT_JUDGE` and on the command line.

local                        the small model that ships for trying things out, embedded
local:NAME or local:PATH     a known model, a GGUF file or a folder of weights; `?lora=FILE.gguf` adds an adapter,
                             `?slots=8` (joined by `&`) answers so many calls at a time, `?context=` and `?threads=`
http://host:8001/v1          an OpenAI-compatible server, called directly; `#MODEL` picks a model it serves
hf:ORG/NAME or hf:PATH       Hugging Face weights, run by transformers (extra `hf`)
provider/model               any model that litellm knows, such as openai/gpt-5 or hosted_vllm/Qwen/Qwen3-8B

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
from reagent_sdk.prompts import CURRENT_PROMPT, VERDICT_GRAMMAR, judge_prompt

if TYPE_CHECKING:
    from reagent_sdk.tools.agent import ToolAgent

DEFAULT_MODEL = "smollm2-135m-instruct"
LOCAL_MAX_TOKENS = 1024
LOCAL_WINDOW_CHARS = 16_000
JUDGE_VARIABLE = "REAGENT_JUDGE"
_OPTIONS = ("lora", "slots", "context", "threads")
FORMS = "local, local:NAME_OR_PATH, http://HOST:PORT/v1[#MODEL], hf:NAME_OR_PATH or provider/model"

JudgeLike: TypeAlias = "str | Judge | Callable[..., Any] | list[JudgeLike] | tuple[JudgeLike, ...] | None"

UNTRAINED = (
    "the embedded judge is an untrained base model under the judge prompt: "
    "its verdicts have the right form, but its scores carry next to no information"
)
_EMBEDDED = JudgeSettings(
    sampling=Sampling(temperature=0.0, max_tokens=640, grammar=VERDICT_GRAMMAR, extra={"repeat_penalty": 1.1}),
    max_chars=16_000,
)


def client_for(spec: str) -> ChatClient:
    """The client of a model spec.

    Raises:
        InvalidInput: the spec has none of the known forms.
        WeightsUnavailable: local weights are missing.
    """
    if (reference := _local_reference(spec)) is not None:
        return _local(reference)
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

    Local models get a limit on their output, because small ones do not always find an end, and a small window.

    Raises:
        InvalidInput: the spec has none of the known forms, or something is not a tool.
        WeightsUnavailable: local weights are missing.
    """
    client = client_for(spec) if isinstance(spec, str) else spec
    local = runs_here(client)
    sampling = Sampling(max_tokens=LOCAL_MAX_TOKENS) if local else Sampling()
    if tools is None:
        return ModelAgent(client, sampling=sampling)
    from reagent_sdk.tools.agent import AgentSettings, ToolAgent

    settings = AgentSettings(sampling=sampling, **({"window_chars": LOCAL_WINDOW_CHARS} if local else {}))
    return ToolAgent(client, tools, settings)


def judge_for(judge: JudgeLike, *, adapt: Callable[[ModelJudge], ModelJudge] | None = None) -> Judge:
    """The judge that is meant: a spec, a judge, a function `(task, trajectory)`, or several to be asked in order.

    None means `$REAGENT_JUDGE`, else the embedded local judge.

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
    try:
        client = client_for(spec)
    except InvalidInput as error:
        raise InvalidInput(f"unknown judge: {error}") from None
    reference = _local_reference(spec)
    judge = ModelJudge(client) if reference is None else ModelJudge(client, _settings_of(reference))
    judge = adapt(judge) if adapt else judge
    if reference is None:
        return judge
    from reagent_sdk.calibration.card import FILE_NAME, read_calibration
    from reagent_sdk.judges.calibrated import CalibratedJudge

    weights = _trained(reference)
    card = weights.with_name(FILE_NAME) if weights.is_file() else weights / FILE_NAME
    return CalibratedJudge(judge, read_calibration(card)) if card.is_file() else judge


def _local_reference(spec: str) -> str | None:
    """What a `local` spec refers to; None for specs of another form, `local_provider/model` among them."""
    if spec != "local" and not spec.startswith("local:"):
        return None
    return spec.removeprefix("local").removeprefix(":") or DEFAULT_MODEL


def _settings_of(reference: str) -> JudgeSettings:
    """Settings for local weights, from the `reagent.json` beside them; weights without one are taken as untrained."""
    from reagent_sdk.models.manifest import read_manifest

    trained = _trained(reference)
    manifest = read_manifest(trained) if trained.exists() else None
    if manifest is None or manifest.role == "base":
        return _EMBEDDED.model_copy(update={"caveat": UNTRAINED})
    if manifest.role != "judge":
        raise InvalidInput(f"{reference} is a model for the role {manifest.role!r} and not a judge")
    version = judge_prompt(manifest.prompt_version or CURRENT_PROMPT).version
    return _EMBEDDED.model_copy(update={"prompt_version": version, "gate": manifest.gate})


def _local(reference: str) -> ChatClient:
    path, options = _split(reference)
    folder = Path(path).expanduser()
    if folder.is_dir() and not any(folder.glob("*.gguf")):
        from reagent_sdk.clients.transformers_client import Transformers

        return Transformers(str(folder))
    from reagent_sdk.clients.embedded import Embedded

    counts = {name: _count(name, value) for name, value in options.items() if name != "lora"}
    return Embedded(path, lora=options.get("lora"), **counts)


def _trained(reference: str) -> Path:
    """The weights that make the judge what it is: the adapter, where there is one."""
    path, options = _split(reference)
    return Path(options.get("lora", path)).expanduser()


def _split(reference: str) -> tuple[str, dict[str, str]]:
    """Path or name of local weights, and the options after the question mark."""
    path, _, query = reference.partition("?")
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    unknown = [name for name, value in options.items() if name not in _OPTIONS or not value]
    if unknown:
        raise InvalidInput(f"local:{reference}: {unknown[0]!r} is not an option with a value; there are {_OPTIONS}")
    return path, options


def _count(name: str, value: str) -> int:
    if not value.isdigit():
        raise InvalidInput(f"{name} of a local model must be a whole number, not {value!r}")
    return int(value)
