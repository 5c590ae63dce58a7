"""`reagent train`: one clear line where something is wrong, and runs that go on exactly after they were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from commands import Commands
from reagent_training.cli_train import app
from reagent_training.data.files import write_set
from reagent_training.data.record import LabelledTrajectory
from sums import labelled, pair

from reagent_sdk.testing import ChatServer

# transformers' own trainer still calls what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


commands = Commands(app)
run, refused = commands.run, commands.refused


def recipe(folder: Path, base: Path, rows: Path, **changes: object) -> Path:
    settings = {
        "recipe": "rrm-sft",
        "base": str(base),
        "name": "tiny",
        "max_chars": 1_000,
        "device": "cpu",
        "train": [{"path": str(rows)}],
        "lora": {"rank": 4, "alpha": 8},
        "optimiser": {"learning_rate": 0.005, "accumulate": 1, "batch": 2, "max_steps": 6},
        "save_every": 1,
        "trackers": [],
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


def damaged(text: str, **changes: object) -> str:
    rows = [json.loads(line) for line in text.splitlines()]
    rows[2] |= changes
    return "\n".join(map(json.dumps, rows)) + "\n"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"correct": None, "score": None, "critique": None, "analysis": None}, "row 3, record: the label is missing"),
        ({"score": 7}, "row 3, score: input should be less than or equal to 1, not 7"),
        ({"trajectory": {"messages": [], "answer": ""}}, "row 3, trajectory: the trajectory is empty"),
        ({"prompt_version": "rrm-0"}, "row 3, prompt_version: 'rrm-0', but row 1 has 'rrm-1'"),
    ],
)
def test_bad_rows_are_named_and_nothing_is_written(
    changes: dict[str, object], told: str, tmp_path: Path, tiny_base: Path, sums: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(damaged(sums.read_text(), **changes))
    assert told in refused("rrm-sft", recipe(tmp_path, tiny_base, bad), "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_truncated_parquet_file_is_one_line(tmp_path: Path, tiny_base: Path) -> None:
    bad = tmp_path / "bad.parquet"
    write_set((labelled(number) for number in range(20)), bad)
    bad.write_bytes(bad.read_bytes()[:-100])
    assert "bad.parquet" in refused("rrm-sft", recipe(tmp_path, tiny_base, bad), "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_settings_are_named(tmp_path: Path, tiny_base: Path, sums: Path) -> None:
    out = ("--out", tmp_path / "out")
    good = recipe(tmp_path, tiny_base, sums)
    assert "optimiser.max_steps" in refused("rrm-sft", good, *out, "--set", "optimiser.max_steps=-1")
    assert "lerning_rate" in refused("rrm-sft", good, *out, "--set", "optimiser.lerning_rate=1")
    assert "it knows rrm-1, rrm-2" in refused("rrm-sft", good, *out, "--set", "prompt_version=rrm-9")
    assert "first_layer is 9" in refused("rrm-sft", good, *out, "--set", "lora.first_layer=9")
    assert "NAME=VALUE" in refused("rrm-sft", good, *out, "--set", "seed")
    assert "cannot read the configuration" in refused("rrm-sft", tmp_path / "none.yaml", *out)
    nowhere = "the base './nowhere' is neither a folder"
    assert nowhere in run("rrm-sft", good, *out, "--set", "base=./nowhere", code=3).stderr
    assert not (tmp_path / "out").exists()


def test_a_report_as_json_is_all_that_stdout_gets(tmp_path: Path, tiny_base: Path, sums: Path) -> None:
    said = run("rrm-sft", recipe(tmp_path, tiny_base, sums), "--out", tmp_path / "out", "--json")
    assert json.loads(said.stdout)["recipe"] == "rrm-sft"
    assert "'loss': " in said.stderr  # where there is no terminal for a bar


def test_a_dry_run_tells_what_it_takes_and_writes_nothing(tmp_path: Path, tiny_base: Path, sums: Path) -> None:
    good = recipe(tmp_path, tiny_base, sums)
    plan = json.loads(run("rrm-sft", good, "--out", tmp_path / "out", "--dry-run", "--json").stdout)
    assert (plan["rows"], plan["updates"], plan["device"]) == (24, 6, "cpu")
    adapters = 4 * 2 * (4 * 64 + 2 * (64 + 32) + 3 * (64 + 96))
    assert plan["trained"] == adapters
    assert "about" in run("rrm-sft", good, "--out", tmp_path / "out", "--dry-run").stdout
    assert not (tmp_path / "out").exists()


def losses(out: Path) -> list[tuple[int, float]]:
    log = json.loads((out / "report.json").read_text())["log"]
    return [(entry["step"], entry["loss"]) for entry in log if "loss" in entry]


def start(config: Path, out: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "reagent_sdk", "train", "rrm-sft", str(config), "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with log.open("wb") as said:
        return subprocess.Popen(command, env=environment, stdout=said, stderr=said)


def test_a_killed_run_goes_on_to_the_same_losses(tmp_path: Path, tiny_base: Path, sums: Path) -> None:
    config, log = recipe(tmp_path, tiny_base, sums), tmp_path / "said"
    killed = start(config, tmp_path / "killed", log)
    while not (tmp_path / "killed" / "checkpoints" / "checkpoint-2" / "trainer_state.json").exists():
        assert killed.poll() is None, log.read_text()
        time.sleep(0.01)  # files of another process: nothing else tells
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "reagent.json").exists(), "an unfinished run is no judge"
    again = start(config, tmp_path / "killed", log)
    run("rrm-sft", config, "--out", tmp_path / "whole")
    assert again.wait() == 0, log.read_text()
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    one, other = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("killed", "whole"))
    assert one == other


def test_judges_are_compared_beside_baselines_of_the_same_rows(tmp_path: Path) -> None:
    write_set((labelled(number) for number in range(40)), tmp_path / "train.jsonl")
    test = [labelled(number) for number in range(40, 60)]
    test += [pair(number, preferred=side) for number in range(4) for side in (True, False)]
    write_set(test, tmp_path / "test.jsonl")
    verdict = "<analysis>\nOne step, read.\n</analysis>\n<critique>\nAdd again.\n</critique>\n<score>0.6</score>"
    out = tmp_path / "out"
    with ChatServer([verdict]) as server:
        words = ["--judge", f"steady={server.base_url}", "--test", tmp_path / "test.jsonl", "--out", out]
        found = json.loads(run("compare", *words, "--train", tmp_path / "train.jsonl", "--json").stdout)
        by_name = {(line["judge"], line["source"]): line for line in found}
        assert set(by_name) == {
            ("constant", "sums"),
            ("bag of words", "sums"),
            ("steady", "sums"),
            ("steady", "pairs"),
        }
        assert by_name["constant", "sums"]["figures"]["auroc"]["value"] == 0.5
        assert by_name["steady", "sums"]["figures"]["auroc"]["value"] == 0.5
        assert by_name["steady", "pairs"]["figures"]["pairwise"]["value"] == 0.5
        assert by_name["steady", "sums"]["statuses"] == {"scored": 20}
        asked = len(server.requests)
        assert "bag of words" not in run("compare", *words).stdout
        assert len(server.requests) == asked, "what was judged once is not judged again"
    assert "split by question" in refused("compare", *words, "--train", tmp_path / "test.jsonl")


def test_sources_with_outcomes_are_measured_together_as_well(tmp_path: Path) -> None:
    def of(source: str, first: int, last: int) -> list[LabelledTrajectory]:
        return [labelled(n, source=source, id=f"{source}-{n}", group=f"{source}-{n // 2}") for n in range(first, last)]

    write_set([*of("one", 0, 20), *of("two", 1, 20)], tmp_path / "train.jsonl")
    sides = [pair(number, preferred=side) for number in range(4) for side in (True, False)]
    write_set([*of("one", 20, 30), *of("two", 20, 36), *sides], tmp_path / "test.jsonl")
    kind = "<analysis>\nRead.\n</analysis>\n<critique>\nGo on.\n</critique>\n<score>0.8</score>"
    with ChatServer([kind]) as server:
        words = ["--judge", f"kind={server.base_url}", "--test", tmp_path / "test.jsonl", "--out", tmp_path / "out"]
        found = json.loads(run("compare", *words, "--train", tmp_path / "train.jsonl", "--json").stdout)
    together = {line["judge"]: line for line in found if line["source"] == "all outcomes together"}
    assert {name: (line["n"], line["rows"]) for name, line in together.items()} == dict.fromkeys(
        ("constant", "bag of words", "kind"), (26, 26)
    )
    assert together["kind"]["figures"]["ece"]["value"] == pytest.approx(0.3)
    assert together["kind"]["figures"]["brier"]["value"] == pytest.approx((0.04 + 0.64) / 2)
    shares = [0.5] * 10 + [9 / 19] * 16  # right work in the training rows of each source
    expected = sum((share - (number % 2 == 0)) ** 2 for number, share in enumerate(shares)) / 26
    assert together["constant"]["figures"]["brier"]["value"] == pytest.approx(expected)


def test_judges_that_write_freely_are_asked_once_without_a_grammar(tmp_path: Path) -> None:
    write_set((labelled(number) for number in range(6)), tmp_path / "test.jsonl")
    kept = "<analysis>\nOne step, read.\n</analysis>\n<critique>\nAdd again.\n</critique>\n<score>0.6</score>"
    with ChatServer([kept, "I like it.", kept]) as server:
        words = ["--judge", f"loose={server.base_url}", "--test", tmp_path / "test.jsonl", "--out", tmp_path / "out"]
        [line] = json.loads(run("compare", *words, "--free", "--json").stdout)
        assert line["statuses"] == {"scored": 5, "unparseable": 1}
        assert len(server.requests) == 6, "nothing is asked again"
        assert not any("structured_outputs" in request.body for request in server.requests)
        [line] = json.loads(run("compare", *words, "--json").stdout)
        assert line["statuses"] == {"scored": 6}
        assert all("structured_outputs" in request.body for request in server.requests[6:]), "a grammar is the rule"
