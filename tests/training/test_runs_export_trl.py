"""What `reagent runs export` writes is what TRL reads: the rows load, render with their tool calls, and train."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from trl.data_utils import apply_chat_template, is_conversational

from reagent_sdk import CritiqueLoop, Policy, RunLog, Task
from reagent_sdk.exports import ExportSettings, Format, export_runs
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

pytestmark = [
    # transformers' own trainer still calls what it deprecates
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "<call>{{ call.function.name }} {{ call.function.arguments | tojson }}</call>"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def work(answer: str, **arguments: Any) -> list[dict[str, Any]]:
    """An attempt that calls one tool."""
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": json.dumps(arguments)}}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "7"},
        {"role": "assistant", "content": answer},
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> RunLog:
    """Runs of two attempts whose tools take arguments of different names and types; one whose judge failed."""
    made = RunLog(tmp_path_factory.mktemp("log") / "runs.jsonl")
    for number in range(4):
        arguments: dict[str, Any] = {"a": number, "b": [1, "2"]} if number % 2 else {"text": str(number), "b": None}
        answers = [work(f"I think {number}.", **arguments), work(f"It is {number}.", **arguments)]
        about = {"reference": [str(number)]} if number else {}
        loop = CritiqueLoop(
            Task(question=f"What is {number} plus 0?", metadata=about),
            ScriptedAgent(answers),
            ScriptedJudge([0.2, 0.9]),
            policy=Policy(rounds=1),
            log=made,
        )
        asyncio.run(loop.run())
    return made


def rows(log: RunLog, format: Format, folder: Path) -> tuple[Dataset, list[dict[str, Any]]]:
    """The rows as `datasets` loads them, and as they stand in the file."""
    path = folder / f"{format}.jsonl"
    with path.open("wb") as out:
        export_runs(log.scan(), out, ExportSettings(format=format))
    loaded = load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    return loaded, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(str(tiny_base))
    made.chat_template = TEMPLATE
    return made


@pytest.mark.parametrize("format", [Format.SFT, Format.DPO, Format.GRPO])
def test_rows_load_as_they_were_written_and_are_conversational(format: Format, log: RunLog, tmp_path: Path) -> None:
    loaded, written = rows(log, format, tmp_path)
    assert loaded.to_list() == written
    assert len(loaded) == 4
    assert all(is_conversational(one) for one in loaded)


def test_tool_calls_render_natively(log: RunLog, tmp_path: Path, tokenizer: Any) -> None:
    loaded, _ = rows(log, Format.SFT, tmp_path)
    text = apply_chat_template(loaded[1], tokenizer)["text"]
    assert '<|im_start|>assistant\n<call>add {"a": 1, "b": [1, "2"]}</call><|im_end|>' in text
    assert text.endswith("<|im_start|>tool\n7<|im_end|>\n<|im_start|>assistant\nIt is 1.<|im_end|>\n")
    pairs, _ = rows(log, Format.DPO, tmp_path)
    rendered = apply_chat_template(pairs[0], tokenizer)
    assert rendered["prompt"] == "<|im_start|>user\nWhat is 0 plus 0?<|im_end|>\n<|im_start|>assistant\n"
    assert rendered["chosen"].endswith("It is 0.<|im_end|>\n")
    assert rendered["rejected"].endswith("I think 0.<|im_end|>\n")
    prompts, _ = rows(log, Format.GRPO, tmp_path)
    assert [one["reference"] for one in prompts] == [[], ["1"], ["2"], ["3"]]
    assert apply_chat_template(prompts[0], tokenizer)["prompt"] == rendered["prompt"]


@pytest.mark.parametrize("format", [Format.SFT, Format.DPO])
def test_trl_trains_on_the_rows(format: Format, log: RunLog, tmp_path: Path, tiny_base: Path, tokenizer: Any) -> None:
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    loaded, _ = rows(log, format, tmp_path)
    given: dict[str, Any] = {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 1,
        "per_device_train_batch_size": 2,
        "report_to": [],
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
    }
    config, kind = (SFTConfig, SFTTrainer) if format is Format.SFT else (DPOConfig, DPOTrainer)
    model = AutoModelForCausalLM.from_pretrained(str(tiny_base))
    before = model.model.embed_tokens.weight.detach().clone()
    trainer = kind(model, args=config(**given), train_dataset=loaded, processing_class=tokenizer)
    loss = trainer.train().training_loss
    assert math.isfinite(loss)
    assert loss > 0
    assert not before.equal(model.model.embed_tokens.weight)
