"""`reagent score`: what it accepts, what it refuses, and how it goes on after an interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reagent_sdk import Attempt, Run, RunLog, StopReason, Task, Trajectory, Verdict
from reagent_sdk.cli import app
from reagent_sdk.errors import InvalidInput
from reagent_sdk.records import read_records
from reagent_sdk.testing.server import ChatServer, Fault, refused_url

VERDICT = "<analysis>\nfor me alone\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>0.5</score>"
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "function": {"name": "add", "arguments": "{}"}}],
}
TALK = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "1 + 1?"},
    CALL,
    {"role": "tool", "tool_call_id": "1", "content": "2"},
    {"role": "assistant", "content": "It is 2."},
]


@pytest.fixture(autouse=True)
def reagent_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)


def score(*words: object, stdin: bytes | None = None) -> Any:
    return CliRunner().invoke(app, ["score", *map(str, words)], input=stdin)


def written(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in records))
    return path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def a_run(answers: list[str], chosen: int | None) -> Run:
    attempts = tuple(Attempt(index=i, trajectory=Trajectory(answer=answer)) for i, answer in enumerate(answers))
    return Run(task=Task.of("asked"), attempts=attempts, chosen=chosen, stop=StopReason.ROUNDS)


@pytest.mark.parametrize(
    ("data", "question", "steps", "answer"),
    [
        ({"question": "q", "answer": "a"}, "q", 0, "a"),
        ({"messages": TALK}, "1 + 1?", 3, "It is 2."),
        ({"question": "1 + 1?", "messages": TALK}, "1 + 1?", 3, "It is 2."),
        ({"question": "Sum?", "messages": TALK[2:]}, "Sum?", 3, "It is 2."),
        ({"question": "Sum?", "messages": TALK[2:], "answer": "2"}, "Sum?", 3, "2"),
        ({"question": "1 + 1?", "messages": TALK[:2], "answer": "2", "label": 1}, "1 + 1?", 0, "2"),
        (a_run(["first", "second"], 1).model_dump(mode="json"), "asked", 0, "second"),
    ],
)
def test_every_shape_is_read(data: dict[str, Any], question: str, steps: int, answer: str) -> None:
    (record,) = read_records([json.dumps(data).encode()], "file")
    assert record is not None
    assert (record.task.question, len(record.trajectory.messages), record.trajectory.answer) == (
        question,
        steps,
        answer,
    )
    assert record.id == data.get("id", record.id)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not JSON"),
        ('{"question": "q", "answer": ', "not JSON"),
        ("[]", "a JSON object is needed, not list"),
        ("{}", "none of the known shapes"),
        ('{"question": "q"}', "none of the known shapes"),
        ('{"question": " ", "answer": "a"}', '"question" must be a text'),
        ('{"question": "q", "answer": 3}', '"answer" must be a text'),
        ('{"messages": []}', '"messages" must be a list'),
        ('{"messages": [{"content": "x"}]}', "message 0 is not a chat message"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', 'no message of role "user"'),
        ('{"messages": [{"role": "user", "content": "x"}]}', "trajectory is empty"),
        ('{"question": "q", "answer": "a", "id": {}}', '"id" must be'),
        ('{"question": "q", "answer": "b", "id": "first"}', "is that of line 1 already"),
        ('{"schema_version": 1, "task": {}, "attempts": []}', "not a run that this release reads"),
        (b'{"question": "\xff", "answer": "a"}', "not UTF-8"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_malformed_line_is_named_and_nothing_is_judged(tmp_path: Path, line: str | bytes, told: str) -> None:
    file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = b'{"question": "q", "answer": "a", "id": "first"}\n\n'
    file.write_bytes(good + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    with ChatServer([VERDICT]) as server:
        result = score(file, "--judge", server.base_url, "--out", out)
        assert server.requests == []
    assert (result.exit_code, result.stdout, out.exists()) == (2, "", False)
    assert result.stderr.startswith(f"error: {file}, line 3: ")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1


def test_records_without_an_id_get_one_that_survives_other_lines() -> None:
    first, second = b'{"question": "q", "answer": "a"}', b'{"question": "q", "answer": "b"}'
    ids = [one.id for one in read_records([first, second, first], "f") if one]
    assert len(set(ids)) == 3
    assert [one.id for one in read_records([second, first, first], "f") if one] == [ids[1], ids[0], ids[2]]


def test_verdicts_go_to_stdout_and_the_summary_to_stderr(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"question": "q", "answer": "a", "id": 7}, {"messages": TALK}])
    with ChatServer([VERDICT]) as server:
        result = score(file, "--judge", server.base_url)
        asked = json.dumps([request.body for request in server.requests])
    assert result.exit_code == 0
    found = {one["line"]: one for one in lines(result.stdout)}
    assert found[1]["id"] == "7"
    assert found[1]["verdict"]["score"] == 0.5
    assert found[2]["verdict"]["status"] == "scored"
    assert "mean score" in result.stderr
    assert "calls add" in asked


def test_stdin_and_limit(tmp_path: Path) -> None:
    given = b"".join(b'{"question": "q%d", "answer": "a"}\n' % number for number in range(5))
    with ChatServer([VERDICT]) as server:
        result = score("-", "--judge", server.base_url, "--limit", 2, stdin=given)
    assert [one["line"] for one in lines(result.stdout)] == [1, 2]
    assert score("-", "--judge", "http://127.0.0.1:1/v1", stdin=given + b"oops\n").stderr.startswith(
        "error: stdin, line 6"
    )


def test_a_run_log_is_judged_and_runs_without_an_attempt_are_left_out(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    log.append(a_run([], None))
    log.append(run := a_run(["only"], 0))
    with ChatServer([VERDICT]) as server:
        result = score(log.path, "--judge", server.base_url)
    assert [one["id"] for one in lines(result.stdout)] == [run.id]
    assert "1 runs hold no attempt" in result.stderr


def test_it_goes_on_where_it_stopped_and_mends_a_torn_line(tmp_path: Path) -> None:
    records = [{"question": f"q{number}", "answer": "a", "id": f"r{number}"} for number in range(4)]
    file, out = written(tmp_path / "in.jsonl", records), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as server:
        assert score(file, "--judge", server.base_url, "--out", out, "--limit", 2).exit_code == 0
        with out.open("a") as torn:
            torn.write('{"id": "r2", "line": 3, "verd')
        result = score(file, "--judge", server.base_url, "--out", out, "--json")
        assert len(server.requests) == 4
        again = score(file, "--judge", server.base_url, "--out", out, "--json")
        assert len(server.requests) == 4
    assert "torn line" in result.stderr
    assert "2 of 4 records have a verdict" in result.stderr
    assert json.loads(result.stdout) | {"seconds_per_verdict": 0} == {
        "verdicts": 4,
        "scored": 4,
        "mean_score": 0.5,
        "by_status": {"scored": 4},
        "judged_now": 2,
        "seconds_per_verdict": 0,
    }
    assert json.loads(again.stdout)["judged_now"] == 0
    assert sorted(one["id"] for one in lines(out.read_text())) == ["r0", "r1", "r2", "r3"]


def test_a_last_line_that_lacks_only_its_end_of_line_is_kept(tmp_path: Path) -> None:
    records = [{"question": f"q{number}", "answer": "a", "id": f"r{number}"} for number in range(2)]
    file, out = written(tmp_path / "in.jsonl", records), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as server:
        score(file, "--judge", server.base_url, "--out", out, "--limit", 1)
        out.write_text(out.read_text().rstrip("\n"))
        score(file, "--judge", server.base_url, "--out", out)
        assert len(server.requests) == 2
    assert [one["id"] for one in lines(out.read_text())] == ["r0", "r1"]


def test_a_judge_with_a_stand_in_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"id": str(n), "question": "q", "answer": "a"} for n in range(4)])
    with ChatServer([VERDICT]) as stand_in, refused_url() as dead:
        spec = f"first:{dead}#a|{stand_in.base_url}#b"
        assert score(file, "--out", tmp_path / "out.jsonl", "--judge", spec, "--limit", 2).exit_code == 0
        assert score(file, "--out", tmp_path / "out.jsonl", "--judge", spec).exit_code == 0
        asked = len(stand_in.requests)
    ids = [one["id"] for one in lines((tmp_path / "out.jsonl").read_text())]
    assert sorted(ids) == ["0", "1", "2", "3"]  # several at a time: in the order in which they came
    assert asked == 4


def test_an_unavailable_judge_is_exit_code_3_and_its_records_are_judged_again(tmp_path: Path) -> None:
    records = [{"question": f"q{number}", "answer": "a", "id": f"r{number}"} for number in range(2)]
    file, out = written(tmp_path / "in.jsonl", records), tmp_path / "out.jsonl"
    with ChatServer([Fault.status(400), Fault.status(400), VERDICT]) as server:
        failed = score(file, "--judge", server.base_url, "--out", out)
        assert failed.exit_code == 3
        assert "the judge was unavailable for every record" in failed.stderr
        assert {one["verdict"]["status"] for one in lines(out.read_text())} == {"unavailable"}
        mended = score(file, "--judge", server.base_url, "--out", out)
    assert mended.exit_code == 0
    assert "2 records for which the judge was unavailable are judged again" in mended.stderr
    assert [one["verdict"]["status"] for one in lines(out.read_text())] == ["scored", "scored"]


def test_some_failures_are_a_warning(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"question": f"q{number}", "answer": "a"} for number in range(3)])
    with ChatServer([VERDICT, Fault.status(400), "no verdict at all"]) as server:
        result = score(file, "--judge", server.base_url, "--concurrency", 1)
    assert result.exit_code == 0
    assert [one["verdict"]["status"] for one in lines(result.stdout)] == ["scored", "unavailable", "unparseable"]
    assert "warning: the judge was unavailable for 1 of 3 records" in result.stderr


def test_a_dead_judge_is_given_up_after_a_few_records(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"question": f"q{number}", "answer": "a"} for number in range(200)])
    with ChatServer([Fault.status(400)]) as server:
        result = score(file, "--judge", server.base_url)
        assert len(server.requests) < 20
    assert result.exit_code == 3
    assert "so the rest was not tried" in result.stderr


def test_verdicts_of_different_judges_are_not_mixed(tmp_path: Path) -> None:
    file, out = written(tmp_path / "in.jsonl", [{"question": "q", "answer": "a"}]), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as server:
        score(file, "--judge", server.base_url, "--out", out)
        before = out.read_bytes()
        result = score(file, "--judge", f"{server.base_url}#other", "--out", out)
    assert result.exit_code == 2
    assert "scores of different judges cannot be compared" in result.stderr
    assert out.read_bytes() == before


def test_a_file_that_holds_something_else_is_never_written_to(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"question": "q", "answer": "a"}])
    other = written(tmp_path / "other.jsonl", ["precious", "data"])
    (unended := tmp_path / "note.txt").write_text("precious")
    with refused_url() as url:
        for out in (file, other, unended):
            before = out.read_bytes()
            assert score(file, "--judge", url, "--out", out).exit_code == 2
            assert out.read_bytes() == before


def test_an_empty_file_is_no_error(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [])
    with refused_url() as url:
        result = score(file, "--judge", url)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing to judge" in result.stderr


def test_verdict_lines_hold_the_whole_verdict(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"question": "q", "answer": "a"}])
    with ChatServer([VERDICT]) as server:
        (line,) = lines(score(file, "--judge", server.base_url).stdout)
    verdict = Verdict.model_validate(line["verdict"])
    assert (verdict.critique, verdict.analysis, verdict.prompt_version) == ("Show the steps.", "for me alone", "rrm-1")
    with pytest.raises(InvalidInput):
        list(read_records([b"null"], "f"))
