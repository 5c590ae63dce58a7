from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from reagent_training.data.files import write_set
from reagent_training.train import critic_outcome
from reagent_training.train import report as reports
from reagent_training.train.critic_config import CriticConfig, CriticReward, RevisingAgent
from reagent_training.train.critic_outcome import outcomes_of
from reagent_training.train.examples import encode_prompt, prompt_messages
from reagent_training.train.judge_reward import JudgeReward
from reagent_training.train.revising import AgentDown, Reviser
from reagent_training.train.revisions import Revision, Revisions
from transformers import AutoModelForCausalLM, AutoTokenizer

from reagent_sdk.agents import CallableAgent, Feedback
from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import judge_prompt
from reagent_sdk.testing import ChatServer, Fault, ScriptedAgent

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
from tiny_judge import HEAD, HELPFUL, LEAK, MIDDLE, TAIL, USELESS, row, write_judge

# peft asks transformers for an attribute by its old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
WRONG = row("wrong", "It is 41.", correct=False)
RIGHT = row("right", "It is 42.", correct=True, group="other")
AGENT = RevisingAgent(spec="a function")


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer than the training of so small a model."""
    monkeypatch.setattr(reports, "draw", lambda *_: None)


def verdict(critique: str) -> str:
    return f"<analysis>\nGrade: 3{MIDDLE}{critique}{TAIL}"


def helped(question: str, feedback: Feedback | None = None) -> str:
    """A frozen agent that mends its work when it is told where to look, and breaks it when it is praised."""
    assert feedback is not None
    assert question == "What is 6 times 7?"
    return "Answer: 42" if feedback.critique == HELPFUL else "Answer: 40"


def settings(folder: Path, **changes: Any) -> CriticConfig:
    given: dict[str, Any] = {
        "base": str(folder / "base"),
        "name": "critic",
        "max_chars": 1000,
        "train": [{"path": folder / "rows.jsonl"}],
        "rollout": {"group": 8, "max_new_tokens": 8},
        "reward": {"outcome": 1.0},
        "optimiser": {"learning_rate": 2e-3, "batch": 8, "accumulate": 1, "max_steps": 10, "warmup": 0.0},
        "lora": None,
        "agent": {"spec": "a function"},
        "device": "cpu",
        "trackers": [],
        "save_every": 100,
    }
    return CriticConfig(**(given | changes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A critic that writes helpful, useless and leaking critiques alike, and rows."""
    made = tmp_path_factory.mktemp("critic")
    write_judge(made / "base", grades="3", critiques=(HELPFUL, USELESS, LEAK))
    write_set([WRONG, RIGHT], made / "rows.jsonl")
    return made


@pytest.mark.filterwarnings("ignore:init is not set:RuntimeWarning")
def test_a_critic_learns_what_helps(folder: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    def agent(question: str, feedback: Feedback | None = None) -> str:
        assert feedback is not None
        asked.append(feedback.critique)
        return helped(question, feedback)

    report = critic_outcome.run(settings(folder), tmp_path / "out", CallableAgent(agent))
    assert all(entry["parts/format"] == 1 and "parts/outcome" in entry for entry in report["log"] if "reward" in entry)
    before, after = chance_of_help(folder / "base"), chance_of_help(tmp_path / "out")
    assert before == pytest.approx(1 / 3, abs=0.02)
    assert after > 0.55
    # Each critique of each attempt was tried once, and none that gives the answer away.
    assert sorted(set(asked)) == sorted({HELPFUL, USELESS})
    assert len(asked) <= 4
    assert report["rows"] == 2


@pytest.mark.filterwarnings("ignore:init is not set:RuntimeWarning")
def test_only_the_critics_adapter_moves(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers: list[Any] = []
    finish = sys.modules["reagent_training.train.grpo"].finish

    def kept(trainer: Any, *args: Any, **options: Any) -> Any:
        trainers.append(trainer)
        return finish(trainer, *args, **options)

    monkeypatch.setattr("reagent_training.train.grpo.finish", kept)

    def script(body: dict[str, Any]) -> str:
        return "Answer: 42" if HELPFUL in body["messages"][-1]["content"] else "Answer: 40"

    with ChatServer(script) as server:
        told = {"spec": server.base_url, "temperature": 0.0, "max_tokens": 64}
        how = {"learning_rate": 5e-3, "batch": 8, "accumulate": 1, "max_steps": 1, "warmup": 0.0}
        critic_outcome.run(settings(folder, agent=told, optimiser=how, lora={"rank": 4}), tmp_path / "out")
        sent = server.requests
    assert 1 <= len(sent) <= 4
    conversation = sent[0].body["messages"]
    assert [message["role"] for message in conversation] == ["user", "assistant", "user"]  # q, o1 and c, as in the loop
    assert (sent[0].body["temperature"], sent[0].body["max_tokens"]) == (0.0, 64)
    assert not (tmp_path / "out" / "model.safetensors").exists()
    model = trainers[0].model
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    base = AutoModelForCausalLM.from_pretrained(folder / "base")
    now = model.unload().state_dict()
    assert all(torch.equal(value, now[name]) for name, value in base.state_dict().items())


def chance_of_help(folder: Path) -> float:
    """How likely the critic writes the helpful critique about the wrong attempt."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    prompt = encode_prompt(tokenizer, prompt_messages(WRONG, judge_prompt("rrm-2"), max_chars=1000, seed=0))
    begun, written = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (f"{HEAD}3{MIDDLE}", HELPFUL))
    with torch.inference_mode():
        shares = model(torch.tensor([prompt + begun])).logits[0, -1].softmax(-1)
    return float(shares[written[0]])


def reward_of(agent: Any, told: RevisingAgent = AGENT, kept: Revisions | None = None, **changes: Any) -> Any:
    given = CriticReward(**changes)
    reviser = Reviser(agent, told, kept or Revisions(None))
    rows = [WRONG, RIGHT]
    return JudgeReward(rows, given, judge_prompt("rrm-2"), gather=list, outcomes=outcomes_of(reviser, given.form))


def test_the_outcome_of_the_revision_is_the_reward() -> None:
    reward = reward_of(CallableAgent(helped))
    texts = [verdict(HELPFUL), verdict(USELESS), "no verdict", verdict(LEAK)]
    assert reward([None] * 4, texts, row=["wrong"] * 4) == [2, 1, 0, 0.5]
    gain = reward_of(CallableAgent(helped), form="gain")
    both = ["wrong", "wrong", "right", "right"]
    assert gain([None] * 4, [verdict(HELPFUL), verdict(USELESS)] * 2, row=both) == [2, 1, 1, 0]


def test_an_agent_that_fails_is_no_outcome_and_is_asked_again() -> None:
    agent = ScriptedAgent([OSError("gone"), "Answer: 42"])
    reward = reward_of(agent, calibration=0.5, label="correct")
    assert reward([None], [verdict(HELPFUL)], row=["wrong"]) == [None]  # though the score could be measured
    assert reward([None], [verdict(HELPFUL)], row=["wrong"]) != [None]
    assert len(agent.seen) == 2
    reward([None] * 2, [verdict(HELPFUL)] * 2, row=["wrong"] * 2)
    assert len(agent.seen) == 2  # what is known is not asked again


def test_a_slow_agent_fails() -> None:
    release = threading.Event()

    def stuck(question: str) -> str:
        release.wait(30)
        return question

    reward = reward_of(CallableAgent(stuck), RevisingAgent(spec="stuck", seconds=0.05))
    try:
        assert reward([None], [verdict(HELPFUL)], row=["wrong"]) == [None]
    finally:
        release.set()


def test_a_dead_agent_ends_the_run() -> None:
    agent = ScriptedAgent([OSError("connection refused")])
    reward = reward_of(agent, RevisingAgent(spec="dead", patience=3, concurrency=2))
    assert reward([None] * 2, [verdict(HELPFUL), verdict(USELESS)], row=["wrong"] * 2) == [None, None]
    with pytest.raises(AgentDown, match="dead failed 3 times in a row; OSError: connection refused"):
        reward([None] * 2, [verdict(HELPFUL), verdict(USELESS)], row=["wrong"] * 2)


def test_a_success_between_failures_begins_the_count_anew() -> None:
    agent = ScriptedAgent([OSError("1"), "Answer: 42", OSError("2"), OSError("3"), "Answer: 42"])
    reward = reward_of(agent, RevisingAgent(spec="shaky", patience=3, concurrency=1))
    texts = [verdict(f"{HELPFUL} {number}") for number in range(5)]
    assert reward([None] * 5, texts, row=["wrong"] * 5) == [None, 2, None, None, 2]


def test_a_server_that_fails_is_no_outcome() -> None:
    with ChatServer([Fault.status(400), "Answer: 42"]) as server:
        told = RevisingAgent(spec=server.base_url, concurrency=1)
        reward = reward_of(critic_outcome._agent(told), told)
        assert reward([None] * 2, [verdict(HELPFUL), verdict(USELESS)], row=["wrong"] * 2) == [None, 2]


def test_revisions_are_kept_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "revisions.jsonl"
    first = ScriptedAgent(["Answer: 42"])
    assert reward_of(first, kept=Revisions(path))([None], [verdict(HELPFUL)], row=["wrong"]) == [2]
    with path.open("ab") as file:
        file.write(b'{"key": "torn')
    second = ScriptedAgent(["Answer: 40"])
    again = reward_of(second, kept=Revisions(path))
    assert again([None] * 2, [verdict(HELPFUL), verdict(USELESS)], row=["wrong"] * 2) == [2, 1]
    assert [feedback.critique for _, feedback in second.seen if feedback] == [USELESS]
    assert len(path.read_bytes().splitlines()) == 2
    another = reward_of(ScriptedAgent(["Answer: 40"]), RevisingAgent(spec="another"), kept=Revisions(path))
    assert another([None], [verdict(HELPFUL)], row=["wrong"]) == [1]  # another agent's revision is not taken


def test_a_revision_that_was_cut_off_must_mark_its_answer(tmp_path: Path) -> None:
    kept = Revisions(tmp_path / "r.jsonl")
    reviser = Reviser(ScriptedAgent(["unused"]), AGENT, kept)
    assert reviser._graded(WRONG, Revision(key="k", answer="so far I have 42", cut_off=True)) is False
    assert reviser._graded(WRONG, Revision(key="k", answer="Answer: 42\nBecause", cut_off=True)) is True


def test_rows_need_right_answers(folder: Path, tmp_path: Path) -> None:
    write_set([row("bare", "It is 41.", correct=False, metadata={})], tmp_path / "rows.jsonl")
    with pytest.raises(InvalidInput, match=r"metadata\.reference"):
        critic_outcome.run(
            settings(folder, train=[{"path": tmp_path / "rows.jsonl"}]), tmp_path / "out", ScriptedAgent(["x"])
        )
    assert not (tmp_path / "out").exists()
