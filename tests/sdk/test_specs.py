from __future__ import annotations

import json
from pathlib import Path

import pytest

from reagent_sdk import InvalidInput
from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.judges.base import CallableJudge
from reagent_sdk.judges.fallback import FallbackJudge
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.local_specs import DEFAULT_JUDGE, UNTRAINED, local_reference
from reagent_sdk.models import SHIPPED
from reagent_sdk.models.manifest import Manifest, write_manifest
from reagent_sdk.specs import agent_for, client_for, judge_for
from reagent_sdk.tools.agent import ToolAgent


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("http://127.0.0.1:8001/v1", "OpenAICompatible"),
        ("https://host/v1#Qwen/Qwen3-8B", "OpenAICompatible"),
        ("hosted_vllm/Qwen/Qwen3-8B", "LiteLLM"),
        ("openai/gpt-5", "LiteLLM"),
    ],
)
def test_each_form_of_a_spec_gives_its_client(spec: str, kind: str) -> None:
    assert type(client_for(spec)).__name__ == kind


def test_a_provider_whose_name_begins_like_ours_is_not_taken_for_local_weights() -> None:
    judge = judge_for("localai/qwen3")
    assert isinstance(judge, ModelJudge)
    assert judge.caveat == ""
    assert judge.settings.max_chars == JudgeSettings().max_chars


@pytest.mark.parametrize("spec", ["", "nonsense", "/", "openai/", "/model", "hf:", "./file", "~/file", "ftp://x/v1"])
def test_an_unknown_spec_lists_the_forms(spec: str) -> None:
    with pytest.raises(InvalidInput, match="provider/model") as caught:
        client_for(spec)
    assert "\n" not in str(caught.value)


def test_missing_weights_name_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path))
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    with pytest.raises(WeightsUnavailable, match="reagent models pull smollm2-135m-instruct"):
        judge_for(None)
    with pytest.raises(WeightsUnavailable, match="smollm2-135m-instruct"):
        judge_for("local:smollm2-135m-instrct")
    with pytest.raises(WeightsUnavailable, match=r"missing\.gguf"):
        judge_for(f"local:{tmp_path}/missing.gguf")


def test_the_environment_names_the_default_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGENT_JUDGE", "http://127.0.0.1:9/v1#rrm")
    assert judge_for(None).name == "rrm at http://127.0.0.1:9/v1"
    monkeypatch.setenv("REAGENT_JUDGE", "nonsense")
    with pytest.raises(InvalidInput, match="unknown judge: 'nonsense'"):
        judge_for(None)


def test_functions_and_lists_are_judges() -> None:
    assert isinstance(judge_for(lambda task, work: 0.5), CallableJudge)
    both = judge_for(["http://127.0.0.1:9/v1", lambda task, work: 0.5])
    assert isinstance(both, FallbackJudge)
    assert judge_for(both) is both


def weights_with(manifest: dict[str, object] | None, smollm: Path, folder: Path) -> str:
    (folder / "model.gguf").symlink_to(smollm)
    if manifest is not None:
        (folder / "reagent.json").write_text(json.dumps({"name": "m"} | manifest), encoding="utf-8")
    return f"local:{folder / 'model.gguf'}"


@pytest.mark.real_model
def test_a_trained_judge_brings_its_gate_and_prompt_version(smollm: Path, tmp_path: Path) -> None:
    spec = weights_with({"role": "judge", "prompt_version": "rrm-1", "gate": 0.8}, smollm, tmp_path)
    judge = judge_for(spec)
    assert isinstance(judge, ModelJudge)
    assert (judge.gate, judge.caveat) == (0.8, "")


@pytest.mark.real_model
def test_weights_without_a_manifest_say_that_they_are_untrained(smollm: Path, tmp_path: Path) -> None:
    judge = judge_for(weights_with(None, smollm, tmp_path))
    assert isinstance(judge, ModelJudge)
    assert (judge.gate, judge.caveat) == (None, UNTRAINED)


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ({"role": "agent"}, "role 'agent'"),
        ({"role": "judge", "prompt_version": "rrm-99"}, "prompt version 'rrm-99' is unknown"),
    ],
)
def test_weights_that_cannot_judge_are_refused(
    manifest: dict[str, object], says: str, smollm: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=says):
        judge_for(weights_with(manifest, smollm, tmp_path))


def test_the_shipped_judge_takes_options_like_other_weights() -> None:
    shipped = SHIPPED[DEFAULT_JUDGE]
    found = local_reference(f"local:{DEFAULT_JUDGE}?slots=4&threads=1")
    assert found is not None
    assert (found.path, found.weights, found.counts) == (shipped.base, shipped.gguf, {"slots": 4, "threads": 1})
    assert local_reference("local", DEFAULT_JUDGE) == local_reference(f"local:{DEFAULT_JUDGE}")
    other = local_reference(f"local:{DEFAULT_JUDGE}?lora=mine.gguf")
    assert other is not None
    assert other.lora == "mine.gguf"
    assert local_reference("local_provider/model") is None


@pytest.mark.parametrize(("role", "told"), [("agent", "Use the tools."), ("judge", "")])
def test_a_trained_agent_is_told_what_it_was_trained_under(tmp_path: Path, role: str, told: str) -> None:
    write_manifest(tmp_path, Manifest.model_validate({"name": "a", "role": role, "instructions": "Use the tools."}))
    for spec in (f"local:{tmp_path}", f"hf:{tmp_path}"):
        agent = agent_for(spec, tools=[])
        assert isinstance(agent, ToolAgent)
        assert agent.settings.instructions == told
