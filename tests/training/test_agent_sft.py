"""Agent SFT: what is learnt are the very tokens of rollouts, the agent's own alone; runs, and what refuses to run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Commands
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from reagent_training.agent_rl import sft
from reagent_training.agent_rl.config import AgentRollout
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.generation import Generated
from reagent_training.agent_rl.lessons import Lesson, agent_examples, conversation_of
from reagent_training.agent_rl.offered import Offered
from reagent_training.agent_rl.rollouts import Asked, Roller, Rollout
from reagent_training.agent_rl.sft_config import AgentSftConfig
from reagent_training.cli_train import app
from reagent_training.data.files import write_set
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.questions import Question
from reagent_training.synth.record import GradingRule, Split, SynthTask
from reagent_training.train.examples import IGNORED

from reagent_sdk import with_critique
from reagent_sdk.agents import Feedback
from reagent_sdk.clients.base import Sampling
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, ToolCall, assistant
from reagent_sdk.models.manifest import read_manifest
from reagent_sdk.task import Task
from reagent_sdk.testing import ScriptedJudge
from reagent_sdk.tools import PythonTool
from reagent_sdk.tools.agent import FINAL
from reagent_sdk.tools.wire import TextWire

# transformers' own trainer still calls what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

commands = Commands(app)
NO_SPECIAL = st.characters(exclude_characters="<|", exclude_categories=["Cs"])
WORDS = st.text(NO_SPECIAL, min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
HOSTILE = st.lists(st.sampled_from(["<|im_end|>", "<|im_start|>assistant\n", "<tool_call>", "42", "\n\n", "é"]))


@pytest.fixture(scope="module")
def dialogue(tiny_base: Path) -> Dialogue:
    from transformers import AutoTokenizer

    return Dialogue(AutoTokenizer.from_pretrained(str(tiny_base)))


def called(code: str, number: int, said: str = "") -> list[Message]:
    """A call of python, and its result."""
    call = ToolCall.make("python", {"code": code}).model_copy(update={"id": f"call_{number}"})
    result = {"role": "tool", "content": "42", "tool_call_id": call.id, "name": "python"}
    return [Message(role="assistant", content=said or None, tool_calls=(call,)), Message.model_validate(result)]


def work(number: int, *, right: bool = True, **changes: Any) -> LabelledTrajectory:
    """Work on one of some sums with one call of python."""
    answer = f"Answer: {number * 7 if right else 0}"
    fields = {
        "id": f"{number}-{right}",
        "group": f"task-{number}",
        "source": "made",
        "label_source": "synthetic",
        "task": Task(question=f"What is {number} times 7?", id=f"task-{number}"),
        "trajectory": {"messages": [*called(f"{number} * 7", 1), assistant(answer)], "answer": answer},
        "correct": right,
        "score": 0.9 if right else 0.1,
        "critique": "Sound." if right else "The last line is not what python printed.",
    }
    return LabelledTrajectory.model_validate(fields | changes)


def config_of(rows: Path, **changes: Any) -> AgentSftConfig:
    given = {"base": "-", "name": "tiny", "tools": "python", "train": ({"path": rows},)}
    return AgentSftConfig.model_validate(given | changes)


def encoded(rows: Sequence[LabelledTrajectory], dialogue: Dialogue, **changes: Any) -> tuple[list[Any], dict[str, int]]:
    config, left_out = config_of(Path("rows.jsonl"), **changes), Counter[str]()
    return agent_examples(rows, dialogue, config, Offered(config), left_out), dict(left_out)


class Echo:
    """A tool like the one of the rows, with results from a list."""

    name, description, parameters = PythonTool.name, PythonTool().description, PythonTool().parameters

    def __init__(self, results: Sequence[str]) -> None:
        self._results = iter(results)

    async def call(self, arguments: Any) -> Any:
        from reagent_sdk.tools.base import ToolResult

        return ToolResult(text=next(self._results))


def rolled(
    dialogue: Dialogue, messages: Sequence[Message], feedback: Feedback | None = None, *, steps: int = 9
) -> Rollout:
    """A rollout in which the policy writes what the assistant wrote in `messages`, and tools answer as they did."""
    sent, _ = TextWire().request(list(messages), (), Sampling())
    replies = iter([message.text for message in sent if message.role == "assistant"])

    def replay(prompts: Sequence[Sequence[int]]) -> list[Generated]:
        return [Generated(dialogue.reply(next(replies)), ended=True) for _ in prompts]

    results = [message.text for message in messages if message.role == "tool"]
    question = Question("q", "task-6", "made", work(6).task, ("42",), lambda _: True)
    settings = AgentRollout(tools="none", steps=steps, max_result_chars=200)
    roller = Roller(replay, dialogue, settings, max_tokens=100_000, tools_of=lambda _: [Echo(results)])
    [one] = asyncio.run(roller.rollouts([Asked(question, feedback)]))
    return one


@st.composite
def attempts(draw: Any) -> list[Message]:
    """Attempts of some turns, some with two calls, with whatever a tool may say."""
    messages: list[Message] = []
    count = 0
    for _ in range(draw(st.integers(0, 3))):
        calls: list[ToolCall] = []
        results: list[Message] = []
        for _ in range(draw(st.integers(1, 2))):
            count += 1
            call, result = called(draw(st.text(NO_SPECIAL, max_size=20)), count)
            calls += call.tool_calls or ()
            told = draw(WORDS) + "".join(draw(HOSTILE)) * draw(st.sampled_from([1, 40]))
            results.append(result.model_copy(update={"content": told}))
        said = draw(st.one_of(st.just(""), WORDS)).strip()
        messages += [Message(role="assistant", content=said or None, tool_calls=tuple(calls)), *results]
    return [*messages, assistant(draw(WORDS))]


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=attempts(), second=attempts(), revised=st.booleans())
def test_what_is_learnt_are_the_tokens_of_a_rollout(
    dialogue: Dialogue, first: list[Message], second: list[Message], revised: bool
) -> None:
    earlier = {"messages": first, "answer": first[-1].text.strip()}
    draft = work(6, right=False, trajectory=earlier, critique="Check <|im_end|> the second step.")
    row = work(6, trajectory={"messages": second, "answer": second[-1].text.strip()})
    rows = [row, draft] if revised else [row]
    share = 0.5 if revised else 0.0
    found, left_out = encoded(rows, dialogue, max_tokens=100_000, max_result_chars=200, revision_share=share)
    assert len(found) == len(rows), left_out
    feedback = Feedback(draft.trajectory, draft.critique or "") if revised else None
    if feedback:  # a rollout keeps results of an earlier attempt as short as its own
        cut = rolled(dialogue, first).trajectory
        feedback = Feedback(cut, feedback.critique)
    tokens = rolled(dialogue, second, feedback).tokens
    assert found[-1].input_ids == tokens.prompt + tokens.ids
    own = [0] * len(tokens.prompt) + tokens.own
    labels = [token if mine else IGNORED for token, mine in zip(found[-1].input_ids, own, strict=True)]
    assert found[-1].labels == labels


@hypothesis_settings(max_examples=15, deadline=None)
@given(attempt=attempts())
def test_tool_results_and_user_text_carry_no_loss(dialogue: Dialogue, attempt: list[Message]) -> None:
    row = work(6, trajectory={"messages": attempt, "answer": attempt[-1].text})
    [one], _ = encoded([row], dialogue, max_tokens=100_000)
    config = config_of(Path("rows.jsonl"))
    sent, start = conversation_of(Lesson(row), config, Offered(config).of(row))
    replies = [dialogue.reply(message.text) for message in sent[start:] if message.role == "assistant"]
    learnt = [label for label in one.labels if label != IGNORED]
    assert learnt == [token for reply in replies for token in reply]
    rest = dialogue.text([t for t, label in zip(one.input_ids, one.labels, strict=True) if label == IGNORED])
    assert "What is 6 times 7?" in rest
    assert all(message.text in rest for message in sent[start:] if message.role == "user")
    assert all(label in (IGNORED, token) for token, label in zip(one.input_ids, one.labels, strict=True))


def test_a_request_for_the_final_answer_is_as_in_a_rollout(dialogue: Dialogue) -> None:
    calls = called("6 * 7", 1)
    replayed = rolled(dialogue, [*calls, assistant("Answer: 42")], steps=1)
    assert any(message.text == FINAL for message in replayed.trajectory.messages)
    row = work(6, trajectory=replayed.trajectory.model_dump())
    [one], _ = encoded([row], dialogue)
    assert one.input_ids == replayed.tokens.prompt + replayed.tokens.ids


def test_replies_of_the_conversation_before_the_question_are_not_learnt(dialogue: Dialogue) -> None:
    history = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good morning"}]
    row = work(6, task=Task.of([*history, {"role": "user", "content": "What is 6 times 7?"}]))
    [one], _ = encoded([row], dialogue)
    learnt = dialogue.text([label for label in one.labels if label != IGNORED])
    assert "Good morning" in dialogue.text(one.input_ids)
    assert "Good morning" not in learnt
    assert learnt.endswith("Answer: 42")


def test_what_no_rollout_could_be_is_left_out_and_counted(dialogue: Dialogue) -> None:
    call, result = called("6 * 7", 1)
    end = assistant("Answer: 42")
    other = call.model_copy(update={"tool_calls": (ToolCall.make("shell", {}).model_copy(update={"id": "call_1"}),)})
    cases = {
        "not right": work(6, right=False),
        "no score of 0.5 or more": work(6, id="low", score=0.4),
        "more than 1500 tokens": work(6, id="long", task=Task(question="What is 6 times 7?" * 150)),
        "tool calls without results": [call, end],
        "no final answer in words": [call, result],
        "two replies with nothing between them": [call, result, end, end],
        "calls of tools that are not on offer": [other, result, end],
        "messages that an agent's work does not hold": [Message(role="developer", content="-"), end],
        "the end token inside a reply": [assistant("So <|im_end|> it is 42")],
    }
    rows = [
        one if isinstance(one, LabelledTrajectory) else work(6, id=name, trajectory={"messages": one, "answer": "42"})
        for name, one in cases.items()
    ]
    cut = work(6, id="cut", trajectory={"messages": [end], "answer": "42", "stop": "truncated"})
    found, left_out = encoded([*rows, cut, work(6)], dialogue, max_tokens=1_500, min_score=0.5)
    assert [one.row for one in found] == ["6-True"]
    assert left_out == dict.fromkeys([*cases, "cut off by a limit"], 1)
    assert len(encoded(rows[:1], dialogue, only="all")[0]) == 1


def test_revisions_make_up_their_share_and_follow_wrong_work_on_the_same_question(dialogue: Dialogue) -> None:
    rows = [work(number) for number in range(2, 10)]
    rows += [work(number, right=False) for number in range(2, 8)]
    rows += [work(8, right=False, critique=None)]
    found, _ = encoded(rows, dialogue, revision_share=0.25, max_tokens=4_096)
    attempts_, revisions = found[:8], found[8:]
    assert len(revisions) == 3, "a quarter would be 2.7 of 10.7"
    for one in revisions:
        text = dialogue.text(one.input_ids)
        assert "not what python printed" in text
        assert text.count("Answer:") == 3, "instructions, draft and revision"
        first = next(other for other in attempts_ if other.row == one.row)
        learnt, again = ([label for label in of.labels if label != IGNORED] for of in (first, one))
        assert learnt == again, "the draft is not learnt"
    assert len(encoded(rows, dialogue, revision_share=0.9)[0]) == 8 + 6, "as many as there are, without a critique none"


def test_with_any_drafts_right_work_is_revised_too_but_never_by_itself(dialogue: Dialogue) -> None:
    rows = [work(6), work(6, id="again"), work(6, right=False), work(7)]
    found, _ = encoded(rows, dialogue, revision_share=0.9, revision_drafts="any", max_tokens=4_096)
    revisions = [dialogue.text(one.input_ids) for one in found[3:]]
    assert [one.row for one in found[3:]].count("again") == 2
    assert len(revisions) == 4, "two drafts for each piece of work on 6; 7 has no other work"
    assert sum("not what python printed" in text for text in revisions) == 2


def write_tasks(folder: Path, tools: tuple[str, ...] = ("python",), answer: str = "42") -> None:
    task = SynthTask(
        id="task-6",
        family="words",
        template="-",
        split=Split.TRAIN,
        difficulty=1,
        question="What is 6 times 7?",
        answer=answer,
        rule=GradingRule(kind="number"),
        tools=tools,
    )
    folder.mkdir(exist_ok=True)
    (folder / "tasks.jsonl").write_text(task.model_dump_json() + "\n")


def test_own_tools_are_those_of_the_tasks_beside_the_rows(tmp_path: Path) -> None:
    write_tasks(tmp_path / "set")
    own = Offered(config_of(tmp_path / "set" / "rows.jsonl", tools="own"))
    assert [tool.name for tool in own.of(work(6))] == ["python"]
    with pytest.raises(InvalidInput, match="'5-True' belongs to no task"):
        own.of(work(5))
    moved = {"path": tmp_path / "rows.jsonl", "tasks": tmp_path / "set"}
    assert len(Offered(config_of(tmp_path, tools="own", train=[moved])).of(work(6))) == 1
    assert Offered(config_of(tmp_path, tools="none")).of(work(6)) == ()
    write_tasks(tmp_path / "other", answer="43")
    both = [{"path": tmp_path / name / "rows.jsonl"} for name in ("set", "other")]
    with pytest.raises(InvalidInput, match="two different tasks named 'task-6'"):
        Offered(config_of(tmp_path, tools="own", train=both))
    (tmp_path / "other" / "tasks.jsonl").write_text('{"id": 7}\n')
    with pytest.raises(InvalidInput, match=r"tasks.jsonl is damaged"):
        Offered(config_of(tmp_path, tools="own", train=both[1:]))


def test_templates_that_write_the_last_reply_unlike_the_others_fit(tiny_base: Path, dialogue: Dialogue) -> None:
    from transformers import AutoTokenizer

    reasoning = AutoTokenizer.from_pretrained(str(tiny_base))
    plain = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    thinks = "<|im_start|>{{ m.role }}\n<think>\n\n</think>\n\n{{ m.content }}<|im_end|>\n"
    reasoning.chat_template = (
        "{% for m in messages %}{% if loop.last and m.role == 'assistant' %}"
        + thinks
        + "{% else %}"
        + plain
        + "{% endif"
        " %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    rows = [work(6)]
    assert encoded(rows, Dialogue(reasoning))[0] == encoded(rows, dialogue)[0]
    reasoning.chat_template = "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    with pytest.raises(InvalidInput, match="does not end replies"):
        Dialogue(reasoning)


def recipe(folder: Path, base: Path, rows: Path, **changes: object) -> Path:
    settings = {
        "recipe": "agent-sft",
        "base": str(base),
        "name": "tiny",
        "device": "cpu",
        "tools": "python",
        "instructions": "",
        "train": [{"path": str(rows)}],
        "lora": {"rank": 4, "alpha": 8},
        "optimiser": {"learning_rate": 0.005, "accumulate": 1, "batch": 2, "max_steps": 4},
        "save_every": 1,
        "trackers": [],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "rows.jsonl"
    write_set((work(number, right=right) for number in range(2, 8) for right in (True, False)), path)
    return path


@pytest.fixture(scope="module")
def trained(tiny_base: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All weights of a tiny model, until it knows one question by heart."""
    folder = tmp_path_factory.mktemp("run")
    write_set([work(6)], folder / "one.jsonl")
    write_set([work(9)], folder / "held_out.jsonl")
    changes = {
        "train": [{"path": str(folder / "one.jsonl")}],
        "validation": [{"path": str(folder / "held_out.jsonl")}],
        "validate_every": 80,
        "lora": None,
        "optimiser": {"learning_rate": 0.005, "accumulate": 1, "max_steps": 80},
        "save_every": 80,
    }
    commands.run("agent-sft", recipe(folder, tiny_base, rows, **changes), "--out", folder / "out")
    return folder / "out"


def test_a_run_leaves_an_agent_with_report_curves_and_card(trained: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    losses = [entry["loss"] for entry in report["log"] if "loss" in entry]
    assert losses[-1] < 0.1 < losses[0]
    assert (report["rows"], report["revisions"], report["left_out"]) == (1, 0, {})
    assert report["validation"]["trained"]["rows"] == 1
    evaluated = [entry["eval_loss"] for entry in report["log"] if "eval_loss" in entry]
    assert report["validation"]["trained"]["loss"] == pytest.approx(evaluated[-1], rel=1e-3), "TRL's own figure"
    manifest = read_manifest(trained)
    assert manifest is not None
    assert manifest.role == "agent"
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "An agent with tools" in (trained / "README.md").read_text()


def test_the_sdk_works_with_the_folder_and_it_calls_its_tool(trained: Path) -> None:
    with with_critique(f"local:{trained}", tools=[PythonTool()], judge=ScriptedJudge([0.9])) as agent:
        run = agent.run("What is 6 times 7?")
    assert run.best is not None
    calls = [call for message in run.best.trajectory.messages for call in message.tool_calls or ()]
    assert [(call.name, call.arguments_text) for call in calls] == [("python", '{"code": "6 * 7"}')]
    assert run.answer == "Answer: 42"


def start(config: Path, out: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "reagent_sdk", "train", "agent-sft", str(config), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with log.open("wb") as said:
        return subprocess.Popen(command, env=environment, stdout=said, stderr=said)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path, tiny_base: Path, rows: Path) -> None:
    config, log = recipe(tmp_path, tiny_base, rows, revision_share=0.4), tmp_path / "said"
    killed = start(config, tmp_path / "killed", log)
    while not (tmp_path / "killed" / "checkpoints" / "checkpoint-1" / "trainer_state.json").exists():
        assert killed.poll() is None, log.read_text()
        time.sleep(0.01)  # files of another process: nothing else tells
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "reagent.json").exists(), "an unfinished run is no agent"
    for name in ("killed", "whole"):
        commands.run("agent-sft", config, "--out", tmp_path / name)
    one, other = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("killed", "whole"))
    assert one == other
    killed_report, whole_report = (
        json.loads((tmp_path / name / "report.json").read_text()) for name in ("killed", "whole")
    )
    losses = [[entry["loss"] for entry in of["log"] if "loss" in entry] for of in (killed_report, whole_report)]
    assert losses[0] == losses[1]
    assert (whole_report["rows"], whole_report["revisions"]) == (6, 4)


def test_bad_data_is_one_line_and_nothing_is_written(tmp_path: Path, tiny_base: Path, rows: Path) -> None:
    write_set([work(3, right=False)], tmp_path / "wrong.jsonl")
    bad = tmp_path / "bad.parquet"
    write_set((work(number) for number in range(2, 20)), bad)
    bad.write_bytes(bad.read_bytes()[:-100])
    out = ("--out", tmp_path / "out")
    refused = partial(commands.refused, "agent-sft")
    assert "no row can be trained on: {'not right': 1}" in refused(
        recipe(tmp_path, tiny_base, tmp_path / "wrong.jsonl"), *out
    )
    assert "bad.parquet" in refused(recipe(tmp_path, tiny_base, bad), *out)
    good = recipe(tmp_path, tiny_base, rows)
    assert "tools: there is no tool 'hammer'" in refused(good, *out, "--set", "tools=python,hammer")
    assert "holds no tasks.jsonl; name the folder in tasks" in refused(good, *out, "--set", "tools=own")
    assert "'not right': 6" in refused(good, *out, "--set", "tools=none")
    assert "revision_share" in refused(good, *out, "--set", "revision_share=1")
    both = [{"path": str(rows)}]
    assert "in the validation rows" in refused(recipe(tmp_path, tiny_base, rows, validation=both), *out)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_what_it_takes_and_writes_nothing(tmp_path: Path, tiny_base: Path, rows: Path) -> None:
    config = recipe(tmp_path, tiny_base, rows)
    plan = json.loads(commands.run("agent-sft", config, "--out", tmp_path / "out", "--dry-run", "--json").stdout)
    assert (plan["rows"], plan["updates"], plan["left_out"]) == (6, 4, {"not right": 6})
    assert 0 < plan["target_tokens"] < plan["tokens"]
    assert not (tmp_path / "out").exists()


def test_recipes_that_come_along_are_valid() -> None:
    from reagent_training.train.config import load_config

    for path in (Path(sft.__file__).parents[2] / "recipes").glob("agent_sft_*.yaml"):
        assert load_config(path, AgentSftConfig).recipe == "agent-sft"
