"""The judge that comes with the package: complete, small, and the same on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from reagent_sdk import models
from reagent_sdk.judges.base import Judge
from reagent_sdk.judges.calibrated import CalibratedJudge
from reagent_sdk.local_specs import DEFAULT_JUDGE
from reagent_sdk.messages import Message, ToolCall, assistant
from reagent_sdk.models.manifest import read_manifest
from reagent_sdk.specs import client_for, judge_for
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import VerdictStatus

SHIPPED = models.SHIPPED[DEFAULT_JUDGE]
CALL = ToolCall.model_validate(
    {"id": "call_1", "type": "function", "function": {"name": "python", "arguments": '{"code": "80 * 15"}'}}
)
WORK = [
    (
        Task.of("A jacket costs 80 euros after a 20% discount. What did it cost before?"),
        Trajectory(messages=(assistant("80 is 80%, so 1% is 1 and 100% is 100."),), answer="100 euros"),
    ),
    (
        Task.of("What is 15% of 80?"),
        Trajectory(
            messages=(
                Message(role="assistant", content="I compute it.", tool_calls=(CALL,)),
                Message(role="tool", content="1200", tool_call_id="call_1", name="python"),
                assistant("It is 1200."),
            ),
            answer="It is 1200.",
        ),
    ),
    (Task.of("Who wrote the book of the light?"), Trajectory(answer="I do not know, perhaps Smith.")),
]


def test_the_folder_is_complete_and_small() -> None:
    manifest = read_manifest(SHIPPED.folder)
    assert manifest is not None
    assert (manifest.role, manifest.prompt_version, manifest.base_model) == ("judge", "rrm-2", SHIPPED.base)
    assert manifest.caveat
    assert manifest.figures, "the card's figures, for programs"
    files = {path.name for path in SHIPPED.folder.iterdir()}
    assert {f"{SHIPPED.name}.gguf", "adapter_model.safetensors", "adapter_config.json", "README.md"} <= files
    assert "calibration.json" in files
    assert sum(path.stat().st_size for path in SHIPPED.folder.iterdir()) < 40e6
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
    assert "/work" not in (SHIPPED.folder / "adapter_config.json").read_text()


@pytest.mark.usefixtures("smollm")
def test_it_is_what_no_judge_and_local_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    names = {judge_for(spec).name for spec in (None, "local", f"local:{DEFAULT_JUDGE}")}
    assert len(names) == 1
    assert "agent-rrm-tiny" in names.pop()
    assert "agent-rrm-tiny" not in judge_for(f"local:{SHIPPED.base}").name, "the base alone goes on having a name"
    assert client_for("local").name == f"local:{SHIPPED.base}", "and the agent is not the judge"


async def verdicts(judge: Judge) -> list[tuple[float, str, str]]:
    """What the judge says below its calibration, which would stretch the difference of two engines."""
    assert isinstance(judge, CalibratedJudge)
    bare, found = judge._judge, []
    bare._secret = b"fixed"  # type: ignore[attr-defined]
    try:
        for task, trajectory in WORK:
            verdict = await bare.judge(task, trajectory)
            assert verdict.status is VerdictStatus.SCORED, verdict.reason
            assert verdict.score is not None
            assert verdict.said_score is not None, "the score was read from probabilities"
            found.append((verdict.score, verdict.analysis, verdict.critique))
    finally:
        await judge.aclose()
    return found


@pytest.mark.anyio
@pytest.mark.real_model
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft over transformers
async def test_embedded_and_transformers_give_the_same_verdicts(smollm: Path) -> None:
    embedded = await verdicts(judge_for("local"))
    transformers = await verdicts(judge_for(f"hf:{SHIPPED.folder}"))
    for (score, analysis, critique), (other, its_analysis, its_critique) in zip(embedded, transformers, strict=True):
        assert score == pytest.approx(other, abs=0.03)  # the engine multiplies in 8 bits
        assert analysis.startswith("Grade: ")
        assert its_analysis.startswith("Grade: ")
        assert critique
        assert its_critique
