"""A Llama of two layers that works as an agent: it calls a tool or answers, by weights made by hand.

Each thing that it can say is one token, and the next token depends on the last one alone: after the opening of a turn
come a call or an answer, all equally likely, and after them the end. Layers add nothing at first, so that training
moves them as in any other model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.tasks import TaskSet
from reagent_training.sampling.questions import Question
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reagent_sdk.clients.base import Sampling
from reagent_sdk.judges.base import CallableJudge
from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.messages import system
from reagent_sdk.models.manifest import Manifest, write_manifest
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.tools import tool
from reagent_sdk.tools.agent import FINAL
from reagent_sdk.tools.define import as_tool
from reagent_sdk.tools.wire import TextWire
from reagent_sdk.trajectory import Trajectory

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CALL = '<tool_call>{"name": "look_up", "arguments": {"key": "a"}}</tool_call>'
TWO_CALLS = f'{CALL}\n<tool_call>{{"name": "look_up", "arguments": {{"key": "b"}}}}</tool_call>'
RIGHT, WRONG, OTHERS = "Answer: 42", "Answer: 41", ("Answer: 40", "Answer: 39")
INSTRUCTIONS, QUESTION = "Solve the task with care.", "What is the sum of a and b?"
CRITIQUE = "Check the second step again."
HIDDEN = 128
KNOWN = {"a": 30, "b": 12}


@tool
async def look_up(key: str) -> str:
    """Looks up the number behind a key."""
    return f"{key} is {KNOWN[key]}"


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, what the agent says, and the long texts that it is told."""
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    sent, _ = TextWire().request([system(INSTRUCTIONS)], [as_tool(look_up)], Sampling())
    before, _, after = revision_request(CRITIQUE).partition(CRITIQUE)
    told = (sent[0].text, INSTRUCTIONS, QUESTION, before, CRITIQUE, after, FINAL)
    made.add_tokens([AddedToken(piece, normalized=False) for piece in (CALL, TWO_CALLS, RIGHT, WRONG, *OTHERS, *told)])
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=TEMPLATE, **names)


def id_of(made: Any, piece: str) -> int:
    """The one token of a piece."""
    ids = made(piece, add_special_tokens=False)["input_ids"]
    assert len(ids) == 1, (piece, ids)
    return int(ids[0])


def write_agent(folder: Path, *, says: Sequence[str] = (CALL, TWO_CALLS, RIGHT, WRONG)) -> Path:
    """Writes weights that begin a turn with one of these pieces, and end it after that."""
    made = tokenizer()
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(made),
            hidden_size=HIDDEN,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=1024,
            tie_word_embeddings=False,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )
    after = {id_of(made, "\n"): [id_of(made, piece) for piece in says]}
    after |= {id_of(made, piece): [2] for piece in says}
    with torch.no_grad():
        model.lm_head.weight.mul_(0.02)
        directions = torch.nn.functional.normalize(torch.randn(len(made), HIDDEN), dim=1)
        model.model.embed_tokens.weight.copy_(directions)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        for token, following in after.items():
            for other in following:
                model.lm_head.weight[other] += 1.5 * directions[token]
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    write_manifest(folder, Manifest(name="tiny", role="agent", base_model=str(folder)))
    return folder


def ends_right(work: Trajectory) -> bool:
    """The rule of the tests' tasks."""
    return work.answer.strip() == RIGHT


def question(name: str = "0/1", *, tools: Sequence[Any] = (look_up,), text: str = QUESTION) -> Question:
    """A task with a real tool."""
    own = tuple(one if hasattr(one, "call") else as_tool(one) for one in tools)
    return Question(name, name, "made", Task(question=text), ("42",), ends_right, lambda: own)


def task_set(config: AgentConfig, *, count: int = 1) -> TaskSet:
    """Such tasks as a run reads them."""
    return TaskSet(tuple(question(f"0/{place}") for place in range(count)), config.rollout)


def write_tasks(path: Path, count: int = 1) -> Path:
    """Tasks without tools, as lines of question and answer."""
    path.write_text("".join(json.dumps({"question": QUESTION, "answer": "42"}) + "\n" for _ in range(count)))
    return path


def liking(task: Task, trajectory: Trajectory) -> tuple[float, str]:
    """A judge that likes right answers, and few calls."""
    calls = sum(len(message.tool_calls or ()) for message in trajectory.messages)
    return (0.8 if RIGHT in trajectory.answer else 0.3) - min(0.2, 0.05 * calls), CRITIQUE


def queue(judge: Any = liking, **limits: Any) -> JudgeQueue:
    """A judge as a run asks it."""
    return JudgeQueue(CallableJudge(judge), redacted=True, **limits)


def settings(place: Path, recipe: str = "reagent-u", **changes: Any) -> AgentConfig:
    """Settings of a small run; `place` holds `agent` and `tasks.jsonl`."""
    given: dict[str, Any] = {
        "recipe": recipe,
        "base": str(place / "agent"),
        "name": "tiny",
        "lora": None,
        "max_tokens": 256,
        "tasks": [{"path": place / "tasks.jsonl"}],
        "rollout": {"group": 4, "max_new_tokens": 8, "steps": 3, "tools": "none", "instructions": INSTRUCTIONS},
        "optimiser": {"learning_rate": 3e-3, "batch": 8, "max_steps": 1, "warmup": 0.0},
        "judge": None if recipe == "agent-grpo" else {"spec": "local"},
        "device": "cpu",
        "trackers": [],
        "save_every": 100,
        "samples": 0,
        "seed": 3,
    }
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(given.get(name), dict)
        given[name] = {**given[name], **value} if both else value
    return AgentConfig.model_validate(given)
