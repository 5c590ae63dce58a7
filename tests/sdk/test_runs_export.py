"""`reagent runs export`: what is written, what is left out and why, and what never gets out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_logs import QUESTION, scripted, weighing
from typer.testing import CliRunner

from reagent_sdk import Attempt, Run, RunLog, StopReason, Task, Trajectory, Verdict, VerdictStatus
from reagent_sdk.cli import app
from reagent_sdk.exports import ExportSettings, Format, LeftOut, converter, export_runs
from reagent_sdk.messages import from_openai
from reagent_sdk.trajectory import AgentStop

from .strategies import chat_messages, failures, scores

KEY = "sk-abcdefgh12345678"


@pytest.fixture(autouse=True)
def reagent_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


def export(*words: object) -> Any:
    return CliRunner().invoke(app, ["runs", "export", *map(str, words)])


def lines(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def row(run: Run, format: Format, **more: Any) -> dict[str, Any]:
    return converter(ExportSettings(format=format, **more))(run)[0]


def why_not(run: Run, format: Format, **more: Any) -> str:
    with pytest.raises(LeftOut) as told:
        row(run, format, **more)
    return str(told.value)


def attempt(index: int, score: float | None, answer: str = "", judge: str = "j", **more: Any) -> Attempt:
    verdict = Verdict.failed(VerdictStatus.UNAVAILABLE, "gone") if score is None else Verdict.of(score, "c")
    work = Trajectory(answer=answer or f"answer {index}", **more)
    return Attempt(index=index, trajectory=work, verdict=verdict.model_copy(update={"judge": judge}))


def run_of(*attempts: Attempt, **fields: Any) -> Run:
    task = fields.pop("task", Task(question="q"))
    return Run(task=task, attempts=attempts, chosen=0 if attempts else None, stop=StopReason.ROUNDS, **fields)


def test_sft_is_the_chosen_attempt_with_its_tool_calls(log: Path) -> None:
    run = weighing(log)
    (made,) = lines(export("--format", "sft", "--log", log))
    assert [message["role"] for message in made["messages"]] == [
        *("user", "assistant", "tool", "tool"),  # found by the draft, which the revision builds on
        *("assistant", "tool", "assistant"),
    ]
    first = made["messages"][1]
    assert (first["content"], first["reasoning_content"]) == ("", "I weigh both.")
    assert first["tool_calls"][1] == {
        "id": "c2",
        "type": "function",
        "function": {"name": "weigh", "arguments": {"item": "box"}},
    }
    assert made["messages"][3] == {"role": "tool", "content": "box: 7 kg", "tool_call_id": "c2", "name": "weigh"}
    assert made["messages"][-1] == {"role": "assistant", "content": "21 kg"}
    about = made["metadata"]
    assert (about["run"], about["attempt"], about["score"], about["status"]) == (run.id, 1, 0.9, "accepted")


def test_dpo_is_the_better_before_the_worse_attempt(log: Path) -> None:
    weighing(log)
    (made,) = lines(export("--format", "dpo", "--log", log, "--margin", "0.7"))
    assert made["prompt"] == [{"role": "user", "content": QUESTION}]
    assert (made["chosen"][-1]["content"], made["rejected"][-1]["content"]) == ("21 kg", "14 kg")
    assert (made["metadata"]["score_chosen"], made["metadata"]["score_rejected"]) == (0.9, 0.2)
    narrow = export("--format", "dpo", "--log", log, "--margin", "0.71")
    assert narrow.exit_code == 2
    assert "nothing to write" in narrow.stderr
    assert "1 scores closer than 0.71" in narrow.stderr


def test_grpo_is_the_prompt_with_the_right_answers_where_they_are_known(log: Path) -> None:
    weighing(
        log, metadata={"reference": ["21 kg", 21]}, history=from_openai([{"role": "system", "content": "Be brief."}])
    )
    scripted(log, ["a"], [0.5], metadata={"gold": "seven"})
    scripted(log, ["a"], [VerdictStatus.UNPARSEABLE])
    made = lines(export("--format", "grpo", "--log", log))
    assert made[0]["prompt"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]
    assert [one["reference"] for one in made] == [["21 kg", "21"], ["seven"], []]
    assert [one["metadata"]["score"] for one in made] == [0.9, 0.5, None]


def test_a_run_that_failed_still_has_a_prompt_and_nothing_else() -> None:
    run = run_of()
    assert row(run, Format.GRPO)["metadata"]["score"] is None
    for format in (Format.SFT, Format.ATIF):
        assert why_not(run, format) == "without an attempt"
    assert why_not(run, Format.DPO) == "fewer than two attempts that one judge scored"


@pytest.mark.parametrize(
    ("attempts", "reason"),
    [
        ([attempt(0, 0.2), attempt(1, None)], "fewer than two attempts that one judge scored"),
        ([attempt(0, 0.2), attempt(1, 0.9, judge="other")], "fewer than two attempts that one judge scored"),
        ([attempt(0, 0.2), attempt(1, 0.25)], "scores closer than 0.1"),
        ([attempt(0, 0.2, "same"), attempt(1, 0.9, "same ")], "both attempts say the same"),
        ([attempt(0, 0.2), attempt(1, 0.9, stop=AgentStop.TRUNCATED)], "scores closer than 0.1"),
    ],
)
def test_no_preference_is_made_of(attempts: list[Attempt], reason: str) -> None:
    assert why_not(run_of(*attempts), Format.DPO) == reason


@settings(max_examples=60)
@given(st.lists(st.tuples(scores | st.none(), st.sampled_from("ab"), st.booleans()), max_size=5), st.floats(0.01, 1))
def test_a_preference_always_follows_one_judges_scores(
    outcomes: list[tuple[float | None, str, bool]], margin: float
) -> None:
    stops = {True: AgentStop.TRUNCATED, False: AgentStop.COMPLETED}
    tried = [attempt(i, score, judge=judge, stop=stops[cut]) for i, (score, judge, cut) in enumerate(outcomes)]
    pairs = [
        (good, bad)
        for good in tried
        for bad in tried
        if good.score is not None and bad.score is not None and good.score - bad.score >= margin
        if good.verdict and bad.verdict and good.verdict.judge == bad.verdict.judge
        if good.trajectory.stop is AgentStop.COMPLETED
    ]
    run = run_of(*tried)
    if not pairs:
        assert why_not(run, Format.DPO, margin=margin)
        return
    about = row(run, Format.DPO, margin=margin)["metadata"]
    good, bad = tried[about["chosen_attempt"]], tried[about["rejected_attempt"]]
    assert (good, bad) in pairs
    assert about["score_chosen"] - about["score_rejected"] == max((g.score or 0) - (b.score or 0) for g, b in pairs)


@given(failures)
def test_a_failed_verdict_is_never_a_number(status: VerdictStatus) -> None:
    failed = Attempt(index=0, trajectory=Trajectory(answer="a"), verdict=Verdict.failed(status, "why"))
    run = run_of(failed)
    assert why_not(run, Format.SFT, min_score=0.0) == "without a score"
    assert row(run, Format.SFT)["metadata"]["score"] is None
    verdict = row(run, Format.ATIF)["steps"][-1]["extra"]["reagent"]["verdict"]
    assert "score" not in verdict
    assert verdict["status"] == status
    assert "score.value" not in json.dumps(row(run, Format.OTEL))


def test_runs_are_selected_by_status_and_score_and_the_rest_is_counted(log: Path, tmp_path: Path) -> None:
    scripted(log, ["a"], [0.9], gate=0.8)
    scripted(log, ["b"], [0.4], gate=0.8)
    scripted(log, ["c"], [VerdictStatus.UNAVAILABLE])
    scripted(log, [Trajectory(answer="d", stop=AgentStop.TRUNCATED)], [0.9])
    out = tmp_path / "deep" / "sft.jsonl"
    done = export("--format", "sft", "--log", log, "--out", out, "--json")
    assert json.loads(done.stdout)["left_out"] == {"answer cut off by the token limit": 1}
    assert [json.loads(line)["messages"][-1]["content"] for line in out.read_text().splitlines()] == ["a", "b", "c"]
    done = export("--format", "sft", "--log", log, "--out", out, "--min-score", "0.5")
    assert done.stdout == (
        f"{out}: 1 of 4 runs; left out: 1 scored below 0.5, 1 without a score, 1 answer cut off by the token limit\n"
    )
    assert len(lines(export("--format", "sft", "--log", log, "--only", "accepted"))) == 1
    two = export("--format", "sft", "--log", log, "--only", "accepted", "--only", "unjudged")
    assert len(lines(two)) == 2
    assert "2 of 4 runs; left out: 2 status answered" in two.stderr


def test_only_one_run_by_the_beginning_of_its_id(log: Path) -> None:
    run, _ = weighing(log), scripted(log, ["a"], [0.5])
    (made,) = lines(export("--format", "atif", "--log", log, "--run", run.id[:12]))
    assert made["session_id"] == run.id
    assert export("--format", "atif", "--log", log, "--run", "zz").exit_code == 2


def test_damaged_lines_are_told_with_their_number_and_skipped(log: Path) -> None:
    scripted(log, ["a"], [0.5])
    with log.open("a") as file:
        file.write('{"no": "run"}\n{"torn')
    done = export("--format", "sft", "--log", log)
    assert len(lines(done)) == 1
    assert "2 damaged records were skipped" in done.stderr
    assert "line 2: " in done.stderr
    assert "line 3: torn: " in done.stderr


def test_bad_input_is_one_line_and_the_file_stays(log: Path, tmp_path: Path) -> None:
    scripted(log, ["a"], [0.5])
    other = tmp_path / "other.jsonl"
    other.write_text('{"messages": []}\n')
    out = tmp_path / "out.jsonl"
    out.write_text("kept")
    for words, told in (
        (["--format", "csv", "--log", log], "--format"),
        (["--log", log], "--format"),
        (["--format", "sft", "--log", "no-such"], "there is no run log no-such"),
        (["--format", "sft"], "holds no runs"),
        (["--format", "sft", "--log", other, "--out", out], "holds no run that this release reads (line 1: "),
        (["--format", "sft", "--log", log, "--min-score", "0.6", "--out", out], "1 scored below 0.6"),
        (["--format", "sft", "--log", log, "--min-score", "nan", "--out", out], "--min-score"),
        (["--format", "sft", "--log", log, "--margin", "0.5"], "--margin belongs to --format dpo"),
        (["--format", "dpo", "--log", log, "--margin", "0"], "--margin is 0; write a number above 0"),
        (["--format", "sft", "--log", log, "--no-texts"], "--no-texts belongs to --format otel"),
        (["--format", "sft", "--log", log, "--out", log], "is the run log itself"),
        (["--format", "sft", "--log", log, "--out", tmp_path], "it is a folder"),
        (["--format", "sft", "--log", log, "--json"], "name a file with --out"),
    ):
        done = export(*words)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), (words, done.stderr)
        assert told in done.stderr
    assert out.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "other.jsonl",
        "out.jsonl",
        "runs.jsonl",
        "runs.jsonl.lock",
    ]


def test_an_export_is_as_private_as_the_log(log: Path, tmp_path: Path) -> None:
    scripted(log, ["a"], [0.5])
    out = tmp_path / "sft.jsonl"
    lines_out = export("--format", "sft", "--log", log, "--out", out)
    assert lines_out.exit_code == 0
    assert out.stat().st_mode & 0o777 == log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("format", Format)
def test_keys_are_masked_everywhere(format: Format, log: Path, tmp_path: Path) -> None:
    call = {"id": "1", "function": {"name": "get", "arguments": '{"password": "ab\\"cd ef", "q": "x"}'}}
    work = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": f"Authorization: Bearer {KEY}"},
        {"role": "assistant", "content": f"the key is {KEY}"},
    ]
    outcomes = [(0.1, f"you leaked {KEY}"), 0.9]
    scripted(log, [work, "I keep it."], outcomes, question=f"q {KEY}", metadata={"token": "hunter22", KEY: 1})
    out = tmp_path / "out.jsonl"
    done = export("--format", format, "--log", log, "--out", out)
    assert done.exit_code == 0, done.stderr
    assert "keys were masked in 1 of the lines" in done.stderr
    written = out.read_text()
    assert KEY not in written
    assert "hunter22" not in written
    assert "cd ef" not in written
    assert "***" in written


def test_what_json_and_utf8_cannot_carry_does_not_stop_an_export(log: Path) -> None:
    call = {"id": "1", "function": {"name": "f\ud800", "arguments": '{"x": NaN}'}}
    huge = {"id": "2", "function": {"name": "f", "arguments": '{"x": 1e999}'}}
    work = [
        {"role": "assistant", "content": "\udfff", "tool_calls": [call, huge]},
        {"role": "assistant", "content": "a"},
    ]
    scripted(log, [work, "b"], [0.9, 0.1], question="q\ud800", metadata={"y": float("nan"), "reference": "\ud800"})
    for format in Format:
        done = export("--format", format, "--log", log)
        assert done.exit_code == 0, (format, done.stderr)
        json.loads(done.stdout, parse_constant=lambda name: pytest.fail(name))
        assert "\\ud800" not in done.stdout
    (made,) = lines(export("--format", "sft", "--log", log))
    assert [one["function"]["arguments"] for one in made["messages"][1]["tool_calls"]] == ['{"x": NaN}', '{"x": 1e999}']


def test_system_messages_of_the_agent_go_to_the_head_unless_the_task_has_one(log: Path) -> None:
    work = [{"role": "developer", "content": "You weigh."}, {"role": "assistant", "content": "a"}]
    own = scripted(log, [work], [0.5])
    assert row(own, Format.SFT)["messages"][0] == {"role": "system", "content": "You weigh."}
    theirs = scripted(log, [work], [0.5], history=from_openai([{"role": "system", "content": "Theirs."}]))
    assert [m["content"] for m in row(theirs, Format.SFT)["messages"]] == ["Theirs.", "q", "a"]


def test_what_is_no_text_has_no_place_in_rows_for_text_models() -> None:
    image = {"type": "image_url", "image_url": {"url": "http://x/a.png"}}
    last = from_openai([{"role": "user", "content": [{"type": "text", "text": "what is it?"}, image]}])[0]
    run = run_of(attempt(0, 0.5), task=Task(question="what is it?", last=last))
    for format in (Format.SFT, Format.GRPO):
        assert why_not(run, format) == "with images or other parts that are not text"
    parts = row(run, Format.ATIF)["steps"][0]["message"]
    assert parts[1] == {"type": "image", "source": {"media_type": "image/png", "path": "http://x/a.png"}}


@settings(max_examples=60)
@given(st.lists(chat_messages(), max_size=4))
def test_messages_survive(between: list[dict[str, Any]]) -> None:
    work = [{"role": "assistant", "content": "I begin."}, *between, {"role": "assistant", "content": "I end."}]
    kept = from_openai(work)
    run = run_of(Attempt(index=0, trajectory=Trajectory(messages=kept, answer="I end.")))
    if any(part.text is None for one in kept if isinstance(one.content, tuple) for part in one.content):
        assert why_not(run, Format.SFT) == "with images or other parts that are not text"
        return
    made = row(run, Format.SFT)["messages"]
    json.dumps(made, allow_nan=False, ensure_ascii=False).encode()
    back = from_openai(made[1:])
    assert [one.role.replace("developer", "system") for one in kept] == [one.role for one in back]
    assert [one.text for one in kept] == [one.text for one in back]
    assert [one.tool_call_id or None for one in kept] == [one.tool_call_id for one in back]
    theirs = [call for one in kept for call in one.tool_calls or ()]
    ours = [call for one in back for call in one.tool_calls or ()]
    assert [(call.name, call.id) for call in theirs] == [(call.name, call.id) for call in ours]
    for said, written in zip(theirs, ours, strict=True):
        if isinstance(written.function.arguments, dict):
            assert written.function.arguments == json.loads(said.arguments_text or "{}")
        else:
            assert written.arguments_text == said.arguments_text


def test_a_run_is_written_before_the_next_one_is_read(tmp_path: Path) -> None:
    seen: list[int] = []
    with (tmp_path / "out").open("w+b", buffering=0) as out:

        def records() -> Iterator[Run]:
            for _ in range(3):
                yield run_of(attempt(0, 0.5))
                seen.append((tmp_path / "out").read_bytes().count(b"\n"))

        assert export_runs(records(), out, ExportSettings(format=Format.SFT)).written == 3
    assert seen == [1, 2, 3]


def test_the_log_tells_how_far_it_was_read(log: Path) -> None:
    for _ in range(2):
        scripted(log, ["a"], [0.5])
    read: list[int] = []
    assert len(list(RunLog(log).scan(read.append))) == 2
    assert read == [len(log.read_bytes().splitlines(keepends=True)[0]), log.stat().st_size]
