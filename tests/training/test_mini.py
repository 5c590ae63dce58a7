from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
import torch
import yaml
from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_training.agent_rl.remembered import Memory, RememberedTool
from reagent_training.mini import command, foundation, parts, run, settings
from reagent_training.mini.compact import make_tokenizer, pretrain
from reagent_training.mini.config import CompactModel, MiniConfig
from reagent_training.mini.drills import drills_of
from reagent_training.mini.evaluate import ALWAYS
from reagent_training.mini.forms import by_form
from reagent_training.mini.places import Places
from reagent_training.mini.report import report
from reagent_training.mini.table import as_markdown, lines
from transformers import AutoTokenizer
from typer.testing import CliRunner

from reagent_sdk import with_critique
from reagent_sdk.cli.exits import CommandGroup
from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools import PythonTool
from reagent_sdk.tools.base import ToolResult

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
pytestmark = [
    # peft asks transformers for an attribute by its old name
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


def recipe(name: str = "mini_smoke", **changes: Any) -> MiniConfig:
    """One of the recipes that come with the package, with other values for some of its settings."""
    return MiniConfig.model_validate(yaml.safe_load((RECIPES / f"{name}.yaml").read_text()) | changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole run of the smoke recipe, as a user starts it, and what it printed."""
    out = tmp_path_factory.mktemp("mini") / "run"
    command.app.info.cls = CommandGroup
    said = CliRunner().invoke(command.app, ["mini", str(RECIPES / "mini_smoke.yaml"), "--out", str(out)])
    assert said.exit_code == 0, said.output
    return out, said.stdout


def test_the_paper_in_miniature_from_end_to_end(done: tuple[Path, str]) -> None:
    out, said = done
    arms = [
        *("base", "sft", "sft+C", "sft+C, always the revision", "reagent-u"),
        *("reagent-r, equal steps", "reagent-r, equal tokens", "agent-grpo, equal steps", "agent-grpo, equal tokens"),
    ]
    for arm in arms:
        assert f"| {arm} | 1 |" in said
    rows = [row for file in (out / "results").glob("*.jsonl") for row in _rows(file)]
    assert {row.arm for row in rows} == set(arms)
    keys = [(row.arm, row.sample, row.epoch, row.seed) for row in rows]
    assert len(keys) == len(set(keys)) == 4 * 2 * len(arms)
    for name in ("table.md", "table.json", "table.png", "rollouts.html", "heldout.jsonl", "updates.jsonl"):
        assert (out / name).stat().st_size > 500, name
    assert "runs without a score." in said
    assert "\nreagent-u against agent-grpo, equal steps: " in said
    assert f"\nTools: in 0 of {len(keys)} attempts" in said
    heldout, updates = (
        [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]
        for name in ("heldout", "updates")
    )
    assert sum(sum(row["right"]) for row in heldout) == sum(row.right is True for row in rows)
    assert sum(len(row["right"]) for row in heldout) == len(keys)
    assert [(row["arm"], row["update"]) for row in updates] == [
        *(("agent-grpo", 1), ("agent-grpo", 2), ("reagent-r", 1), ("reagent-r", 2), ("reagent-u", 1))
    ]
    assert f"| reagent-u | 1 to 3 | 1 | {updates[-1]['first/right']:.3f} | {updates[-1]['alike']:.3f} |" in said
    forms = Counter(
        json.loads(line)["template"] for line in (out / "world" / "test" / "tasks.jsonl").read_text().splitlines()
    )
    for form, tasks in forms.items():
        assert f"\n| {form} | {tasks} | 0." in said


def test_methods_are_compared_at_equal_steps_alone_as_well(done: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(done[0], tmp_path / "run")
    rows = [row for file in (tmp_path / "run" / "results").glob("*.jsonl") for row in _rows(file)]
    plain = [row.model_copy(update={"arm": row.arm.removesuffix(", equal steps")}) for row in rows]
    kept = [row for row in plain if not row.arm.endswith("equal tokens")]
    said = report(recipe(equal_tokens=False), tmp_path / "run", kept).markdown
    for other in ("reagent-r", "agent-grpo"):
        assert f"\nreagent-u against {other}: " in said
    assert "equal" not in said


def test_arms_are_told_without_reagent_u_as_well(done: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(done[0], tmp_path / "run")
    rows = [row for file in sorted((tmp_path / "run" / "results").glob("*.jsonl")) for row in _rows(file)]
    kept = [row for row in rows if row.arm in ("base", "sft", "agent-grpo, equal steps")]
    said = report(recipe(arms=["agent-grpo"]), tmp_path / "run", kept).markdown
    assert "| agent-grpo, equal steps | 1 |" in said
    assert "reagent-u" not in said


def test_reagent_c_starts_from_the_very_attempts_of_the_agent_alone(done: tuple[Path, str]) -> None:
    rows = {(row.arm, row.sample, row.epoch): row for row in _rows(done[0] / "results" / "sft-0.jsonl")}
    for (arm, sample, epoch), row in rows.items():
        alone = rows["sft", sample, epoch]
        assert row.first == alone.outcome
        if arm == "sft+C" and row.attempts == 1:
            assert row.answer == alone.answer


def test_a_finished_run_does_nothing_twice(done: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = done
    config = recipe()
    monkeypatch.setattr(foundation, "make_base", lambda *_: pytest.fail("the base was made again"))
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*.safetensors")}
    again = run.reproduce(config, out, lambda _: None)
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("*.safetensors")}
    kept = [row for file in sorted((out / "results").glob("*.jsonl")) for row in _rows(file)]
    assert sorted(map(str, again)) == sorted(map(str, kept))


@pytest.mark.slow
def test_parts_that_are_done_side_by_side_are_the_same(done: tuple[Path, str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done[0], out)
    config = recipe()
    measured = [out / "results" / f"{name}-0.jsonl" for name in ("base", "reagent-u")]
    before = [[(row.sample, row.epoch, row.answer) for row in _rows(file)] for file in measured]
    for file in measured:
        file.unlink()
    run.reproduce(config, out, lambda _: None, jobs=2)
    assert [[(row.sample, row.epoch, row.answer) for row in _rows(file)] for file in measured] == before


def test_a_process_takes_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    took: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", took.append)
    monkeypatch.setattr(parts, "end_with_parent", lambda: None)
    for jobs in (1, 2, 3, 16):
        parts.begin_worker(jobs)
    assert took == [8, 4, 2, 1]


_PARENT = """
import multiprocessing, os, sys, time
from reagent_training.mini.parts import end_with_parent

def work(pipe):
    end_with_parent()
    pipe.send(os.getpid())
    time.sleep(600)

if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    mine, its = spawn.Pipe()
    spawn.Process(target=work, args=(its,)).start()
    print(mine.recv(), flush=True)
    time.sleep(600)
"""


def test_a_part_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        worker.wait(timeout=60)


def test_other_settings_are_refused(done: tuple[Path, str]) -> None:
    with pytest.raises(InvalidInput, match="holds a reproduction with other settings"):
        run.reproduce(recipe(evaluation={"samples": 1}), done[0], lambda _: None)


def test_arms_start_where_those_of_another_run_did(done: tuple[Path, str], tmp_path: Path) -> None:
    words = ["mini", str(RECIPES / "mini_smoke.yaml"), "--starts-of", str(done[0]), "--set", "arms=[reagent-u]"]
    said = CliRunner().invoke(command.app, [*words, "--out", str(tmp_path), "--set", "judge.weight=1.0", "--json"])
    assert said.exit_code == 0, said.output
    assert [line["arm"] for line in json.loads(said.stdout)] == ["base", "sft", "sft+C", f"sft{ALWAYS}", "reagent-u"]
    for name in ("base-0.jsonl", "sft-0.jsonl"):
        assert (tmp_path / "results" / name).read_bytes() == (done[0] / "results" / name).read_bytes()
    trained, there = Places(tmp_path), Places(done[0])
    assert trained.agent.resolve() == there.agent.resolve()
    assert not trained.arm("agent-grpo", 0).exists()
    plans = [json.loads((one.arm("reagent-u", 0) / "plan.json").read_text()) for one in (trained, there)]
    assert [plan["settings"]["judge"]["weight"] for plan in plans] == [1.0, 0.3]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"world": {"train": 17}}, "began with another world"),
        ({"rl": {"max_tokens": 800}}, r"began with another rl\.max_tokens: 900 there, 800 here"),
        ({"judge": {"batch": 4}}, "began with another judge"),
    ],
)
def test_another_start_is_refused(done: tuple[Path, str], tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    smoke = recipe().model_dump(mode="json")
    config = recipe(**{name: smoke[name] | value for name, value in changes.items()})
    with pytest.raises(InvalidInput, match=said):
        run.reproduce(config, tmp_path / "new", lambda _: None, starts_of=done[0])
    assert not (tmp_path / "new").exists()


def test_a_start_is_taken_from_a_run_that_has_one_by_a_run_that_has_none(
    done: tuple[Path, str], tmp_path: Path
) -> None:
    config = recipe()
    with pytest.raises(InvalidInput, match="holds no reproduction"):
        run.reproduce(config, tmp_path / "new", lambda _: None, starts_of=tmp_path)
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(done[0] / "mini.json", half)
    with pytest.raises(InvalidInput, match="has not trained its agent and its judge yet"):
        run.reproduce(config, tmp_path / "new", lambda _: None, starts_of=half)
    (half / "base").mkdir()
    with pytest.raises(InvalidInput, match="base is there already; name an empty folder"):
        run.reproduce(config, half, lambda _: None, starts_of=done[0])


def test_a_trained_agent_works_alone_in_the_sdk(done: tuple[Path, str]) -> None:
    folder = Places(done[0]).arm("reagent-u", 0)
    manifest = json.loads((folder / "reagent.json").read_text())
    assert (manifest["role"], manifest["recipe"]) == ("agent", "reagent train reagent-u")
    agent = with_critique(f"hf:{folder}", judge=lambda task, work: 0.5)
    assert agent.run("What is 2 + 2?").answer


def test_fixed_texts_are_one_token_each(done: tuple[Path, str]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(Places(done[0]).base)
    told = tokenizer.apply_chat_template([{"role": "user", "content": "12 + 30"}], tokenize=False)
    assert tokenizer.decode(tokenizer(told, add_special_tokens=False)["input_ids"]) == told
    digits = tokenizer("4711", add_special_tokens=False)["input_ids"]
    assert [tokenizer.decode([one]) for one in digits] == list("4711")
    from reagent_sdk.prompts import judge_prompt

    assert len(tokenizer(judge_prompt("rrm-2").instructions, add_special_tokens=False)["input_ids"]) == 1


def test_drills_are_foretold_by_what_was_said_before() -> None:
    tokenizer = make_tokenizer(["to be or not to be"], ["told"], 300)
    common = tokenizer.convert_tokens_to_ids([*"ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
    documents = [common[:22], tokenizer("told 12", add_special_tokens=False)["input_ids"], common]
    rows = drills_of(documents, tokenizer, 96, seed=3)
    assert len(rows["input_ids"]) == 96
    said = {token for ids in rows["input_ids"] for token in ids}
    assert said == {*tokenizer.convert_tokens_to_ids([*"0123456789"]), *common[:22]}
    for place, (ids, labels, length) in enumerate(zip(*rows.values(), strict=True)):
        assert rows["length"][place // 32 * 32] == length == len(ids)  # one length for a batch
        once = length // 3
        assert len(set(ids[:once])) == once
        assert labels[: once + 1] == [-100] * (once + 1)
        assert labels[once + 1 :] == ids[once + 1 :] == ids[1 : 2 * once]


def test_drills_end_when_they_are_learnt(tmp_path: Path) -> None:
    told: dict[str, Any] = {"hidden": 16, "layers": 1, "heads": 2, "vocabulary": 300, "positions": 128, "epochs": 1}
    tokenizer = make_tokenizer(["to be or not to be"], ["told"], told["vocabulary"])
    for name, drilled, updates in (("early", 100.0, 20), ("late", 0.0, 30)):
        settings = CompactModel(**told, batch=1, drills=30 * 32, drilled=drilled)
        pretrain([[5, 6, 7]], settings, tokenizer, tmp_path / name, seed=0)
        (last,) = (tmp_path / name / "drills").glob("checkpoints/checkpoint-*/trainer_state.json")
        assert json.loads(last.read_text())["global_step"] == updates


def test_a_base_goes_on_from_its_last_whole_checkpoint(tmp_path: Path) -> None:
    told: dict[str, Any] = {"hidden": 16, "layers": 1, "heads": 2, "vocabulary": 300, "positions": 128, "epochs": 1}
    tokenizer = make_tokenizer(["to be or not to be"], ["told"], told["vocabulary"])
    documents = [[place % 9 + 5, 6, 7] for place in range(230)]
    for name in ("whole", "cut"):
        if name == "cut":
            shutil.copytree(tmp_path / "whole" / "checkpoints", tmp_path / name / "checkpoints")
            (torn,) = (tmp_path / name / "checkpoints").glob("checkpoint-230")
            shutil.copytree(torn, torn.with_name("checkpoint-200"))
            (torn / "trainer_state.json").unlink()
        pretrain(documents, CompactModel(**told, batch=1), tokenizer, tmp_path / name, seed=0)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_arms_hold_the_same_tasks_and_revisions_double_the_rollouts(tmp_path: Path) -> None:
    config = recipe("mini_compact")
    places = Places(tmp_path)
    plain, reviewed = (settings.rl(config, places, arm, 1) for arm in ("agent-grpo", "reagent-u"))
    how = (plain.optimiser, reviewed.optimiser)
    prompts = [one.batch * one.accumulate // told.replies for one, told in zip(how, (plain, reviewed), strict=True)]
    assert prompts == [8, 8]
    assert how[0].max_steps == 2 * (how[1].max_steps or 0)


@pytest.mark.parametrize("name", ["mini_smoke", "mini_compact", "mini_smollm2"])
def test_recipes_are_complete(name: str, tmp_path: Path) -> None:
    config = recipe(name)
    places = Places(tmp_path)
    settings.agent_sft(config, places)
    settings.rrm_sft(config, places)
    for arm in config.arms:
        settings.rl(config, places, arm, 0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"arms": ["ppo"]}, "there is no arm 'ppo'"), ({"seeds": [1, 1]}, "a seed is named twice")],
)
def test_bad_settings_are_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recipe(**changes)


def test_the_table_pairs_arms_with_the_agent_after_sft() -> None:
    def row(arm: str, sample: int, *, right: bool, seed: int) -> ArmResult:
        outcome = Outcome.RIGHT if right else Outcome.WRONG
        return ArmResult(
            benchmark="mini", sample=str(sample), arm=arm, outcome=outcome, answer="1", first=outcome, seed=seed
        )

    before = [row("sft", n, right=n % 2 == 0, seed=seed) for n in range(10) for seed in (0, 1)]
    after = [row("reagent-u", n, right=n % 2 == 0 or n == 1, seed=seed) for n in range(10) for seed in (0, 1)]
    found = {line.arm: line for line in lines([*before, *after], {"reagent-u": 12_000.0})}
    assert found["reagent-u"].pass_1.value == pytest.approx(0.6)
    assert found["reagent-u"].difference is not None
    assert found["reagent-u"].difference.value == pytest.approx(0.1)
    assert (found["reagent-u"].fixed, found["reagent-u"].broken) == (2, 0)
    assert found["sft"].difference is None
    assert "| reagent-u | 2 | 0.600" in as_markdown(list(found.values()))


def test_success_is_told_by_form_of_the_question() -> None:
    told = {"benchmark": "mini", "answer": "1", "first": Outcome.RIGHT}
    tries = [("a", "0/t1", 1), ("a", "0/t1", 0), ("a", "0/t2", 1), ("b", "0/t1", 1), ("b", "0/t3", 0)]
    rows = [
        ArmResult(arm=arm, sample=task, outcome=Outcome.RIGHT if right else Outcome.WRONG, seed=place, **told)
        for place, (arm, task, right) in enumerate(tries)
    ]
    assert by_form(rows, {"t1": "tank", "t2": "tank", "t3": "boxes"}).splitlines()[2:] == [
        "| boxes | 1 | - | 0.000 |",
        "| tank | 2 | 0.667 | 1.000 |",
    ]


class _Counter:
    """A tool with a state, which is emptied like a Python kernel."""

    description = "Counts."

    def __init__(self, name: str) -> None:
        self.name = name
        self.parameters = {"type": "object", "properties": {}}
        self.heard: list[str] = []

    async def call(self, arguments: Any) -> ToolResult:
        if arguments["code"] == "%reset -f":
            self.heard = []
        else:
            self.heard.append(arguments["code"])
        return ToolResult(text=" ".join(self.heard))


def test_remembered_calls_are_run_once_and_replayed_where_they_matter() -> None:
    anyio.run(_remembered)


async def _remembered() -> None:
    memory, real, unused = Memory(), _Counter("python"), _Counter("python")
    first = RememberedTool(real, memory, "task")
    for attempt in (first, RememberedTool(unused, memory, "task")):
        async with attempt.opened() as tool:
            assert (await tool.call({"code": "a"})).text == "a"
            assert (await tool.call({"code": "b"})).text == "a b"
    assert unused.heard == []
    async with first.opened() as tool:
        assert (await tool.call({"code": "a"})).text == "a"
        assert (await tool.call({"code": "c"})).text == "a c"  # in an emptied kernel, with the earlier call made again
    async with RememberedTool(real, memory, "another task").opened() as tool:
        assert (await tool.call({"code": "c"})).text == "c"
    plain = _Counter("search")
    async with RememberedTool(plain, memory, "task").opened() as tool:
        await tool.call({"code": "a"})
        await tool.call({"code": "b"})
    assert plain.heard == ["a", "b"]
    await memory.aclose()


def test_a_kernel_serves_one_attempt_after_another_and_keeps_nothing(tmp_path: Path) -> None:
    async def calls() -> list[str]:
        memory = Memory(kernels=1)
        said = []
        for code in ("x = 5\nprint(x)", "print(x)"):
            async with RememberedTool(PythonTool(), memory, "task").opened() as tool:
                said.append((await tool.call({"code": code})).text)
        await memory.aclose()
        return said

    first, second = anyio.run(calls)
    assert first.strip() == "5"
    assert "NameError" in second


def _rows(file: Path) -> list[ArmResult]:
    return [ArmResult.model_validate_json(line) for line in file.read_text().splitlines()]
