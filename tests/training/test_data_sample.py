"""`reagent data sample`: graded work of real agents over HTTP, failures apart, and nothing done twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from commands import Commands
from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks.judging.items import group_of
from reagent_training.cli_data import app
from reagent_training.data.files import read_set
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.grading import final_answer, is_right, reference_of
from reagent_training.synth.generate import SynthSettings, generate, read_tasks

from reagent_sdk import models
from reagent_sdk.messages import ToolCall
from reagent_sdk.testing.server import ChatServer, Fault, Reply

SUMS = [{"question": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(1, 7)]


commands = Commands(app, "sample")
run, refused = commands.run, commands.refused


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in SUMS))
    return path


def asked(body: dict[str, Any]) -> int:
    """The number n of the question `What is n + n?`."""
    (said,) = [message["content"] for message in body["messages"] if message["role"] == "user"]
    return int(said.split()[2])


def knows_odd(body: dict[str, Any]) -> str:
    n = asked(body)
    return f"I add them up.\nAnswer: {2 * n if n % 2 else 2 * n + 1}"


def test_work_is_graded_and_says_where_it_comes_from(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out.jsonl"
    with ChatServer(knows_odd) as one, ChatServer(lambda _: "Answer: 4") as other:
        agents = ("--agent", one.base_url, "--agent", f"{other.base_url}#small")
        settings = ("--temperatures", "0,0.8", "--samples", 2, "--seed", 5)
        report = json.loads(run(questions, out, *agents, *settings, "--json").stdout)
        bodies = [request.body for request in one.requests]
    rows = list(read_set(out))
    assert len(rows) == report["rows"] == 36  # two agents; once at temperature 0 and twice at 0.8
    assert Counter(body["temperature"] for body in bodies) == {0.0: 6, 0.8: 12}
    assert len({body["seed"] for body in bodies}) == 18
    assert all("Answer:" in body["messages"][0]["content"] for body in bodies)
    for row in rows:
        n = int(row.task.question.split()[2])
        right = bool(n % 2) if row.metadata["agent"] == one.base_url else n == 2
        assert row.correct is right
        assert row.group == group_of(row.task.question)
        assert (row.source, row.label_source, row.score, row.critique) == ("sampled-sums", "outcome", None, None)
        assert row.metadata["reference"] == [str(2 * n)]
        assert row.metadata["tools"] == "none"
    sent = {body["seed"] for body in bodies}
    assert {row.metadata["seed"] for row in rows if row.metadata["agent"] == one.base_url} == sent
    arm = report["arms"][0]
    assert (arm["arm"]["agent"], arm["rows"], arm["right"], arm["wrong"], arm["failed"]) == (one.base_url, 6, 3, 3, 0)
    card = json.loads((tmp_path / "out.jsonl.card.json").read_text())
    assert card["steps"][0]["command"] == "sample"
    assert card["steps"][0]["settings"]["temperatures"] == [0.0, 0.8]
    assert not list(tmp_path.glob(".*journal*"))
    assert "finished" in refused(questions, out, *agents, *settings)


def test_a_failure_is_no_wrong_answer_and_is_tried_again(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out.jsonl"
    broken = True

    def answer(body: dict[str, Any]) -> str | Fault | Reply:
        faults = {2: Fault.status(400), 3: Fault.invalid_json(), 4: Reply("")}
        return faults.get(asked(body), knows_odd(body)) if broken else knows_odd(body)

    with ChatServer(answer) as server:
        result = run(questions, out, "--agent", server.base_url)
        assert "3 attempts failed" in result.stderr
        assert {int(row.task.question.split()[2]) for row in read_set(out)} == {1, 5, 6}
        card = json.loads((tmp_path / "out.jsonl.card.json").read_text())
        assert card["steps"][0]["left_out"] == {"rollouts that failed": 3}
        broken = False
        before = len(server.requests)
        report = json.loads(run(questions, out, "--agent", server.base_url, "--json").stdout)
        again = [asked(request.body) for request in server.requests[before:]]
    assert sorted(again) == [2, 3, 4]
    assert (report["complete"], report["earlier"], report["done_now"]) == (True, 3, 3)
    assert [row.correct for row in read_set(out)] == [True, False] * 3


def test_a_server_that_is_dead_from_the_start_is_given_up(tmp_path: Path, questions: Path) -> None:
    many = tmp_path / "many.jsonl"
    many.write_text("".join(json.dumps({"question": f"What is {n} + {n}?", "answer": 1}) + "\n" for n in range(40)))
    with ChatServer([Fault.status(401)]) as dead, ChatServer(knows_odd) as alive:
        result = run(many, tmp_path / "none.jsonl", "--agent", dead.base_url, code=3)
        assert "attempts: ModelRejected: " in result.stderr
        assert len(dead.requests) < 20
        assert not (tmp_path / "none.jsonl").exists()
        both = ("--agent", dead.base_url, "--agent", alive.base_url)
        report = json.loads(run(many, tmp_path / "one.jsonl", *both, "--json").stdout)
    counts = [(arm["rows"], arm["failed"] + arm["not_done"]) for arm in report["arms"]]
    assert counts == [(0, 40), (40, 0)]
    assert report["complete"] is False


def test_an_attempt_that_takes_too_long_has_failed(tmp_path: Path, questions: Path) -> None:
    with ChatServer(lambda body: Fault.hang() if asked(body) == 1 else knows_odd(body)) as server:
        result = run(questions, tmp_path / "out.jsonl", "--agent", server.base_url, "--timeout", 2)
    assert "1 attempts failed (no answer within 2 s)" in result.stderr
    assert len(list(read_set(tmp_path / "out.jsonl"))) == 5


def test_a_reply_that_is_cut_off_is_wrong_and_counted(tmp_path: Path, questions: Path) -> None:
    with ChatServer([Reply("So far I have\n2", finish_reason="length")]) as server:
        result = run(questions, tmp_path / "out.jsonl", "--agent", server.base_url, "--max-tokens", 9, "--limit", 1)
        assert server.requests[0].body["max_tokens"] == 9
    assert "1 wrong answers were cut off by the token limit" in result.stderr
    (row,) = read_set(tmp_path / "out.jsonl")
    assert (row.correct, row.metadata["stop"]) == (False, "truncated")


def test_the_budget_stops_it_and_the_next_run_goes_on(tmp_path: Path, questions: Path) -> None:
    out = tmp_path / "out.parquet"
    words = (questions, out, "--concurrency", 1, "--budget-tokens", 25, "--json")
    with ChatServer(knows_odd) as server:  # 10 tokens a call, so the third call is the last
        agent = ("--agent", server.base_url)
        first = run(*words, *agent)
        assert "the budget of tokens is used up: 3 attempts are graded, 3 are left" in first.stderr
        assert json.loads(first.stdout)["usage"]["prompt_tokens"] == 21
        assert len(list(read_set(out))) == 3
        second = json.loads(run(*words, *agent).stdout)
        assert len(server.requests) == 6
    assert (second["complete"], second["rows"]) == (True, 6)


def test_tools_of_a_question_file(tmp_path: Path, questions: Path) -> None:
    call = Reply(tool_calls=[ToolCall.make("python", {"code": "print(1 + 1)"}, id="chatcmpl-tool-77")])

    def answer(body: dict[str, Any]) -> Reply:
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return Reply(f"Answer: {results[0].strip()}") if results else call if body.get("tools") else Reply("Answer: 3")

    with ChatServer(answer) as server:
        tools = ("--tools", "none", "--tools", "python")
        run(questions, tmp_path / "out.jsonl", "--agent", server.base_url, *tools, "--limit", 1)
    plain, with_python = read_set(tmp_path / "out.jsonl")
    assert (plain.correct, plain.metadata["tools"]) == (False, "none")
    assert (with_python.correct, with_python.metadata["tools"]) == (True, "python")
    first = with_python.trajectory.messages[0]
    assert first.tool_calls is not None
    assert first.tool_calls[0].id == "call_1"  # the id as served would tell which server it was


def test_generated_tasks_bring_their_tools_and_their_rule(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    anyio.run(generate, folder, SynthSettings(n=2, families=("lookups",), variants=1))
    tasks = {task.question: task for task in read_tasks(folder)}

    def answer(body: dict[str, Any]) -> Reply:
        task = tasks[next(message["content"] for message in body["messages"] if message["role"] == "user")]
        offered = [tool["function"]["name"] for tool in body.get("tools", ())]
        return Reply(f"Answer: {task.answer.upper()}" if offered == ["search", "browse"] else "Answer: nobody knows")

    with ChatServer(answer) as server:
        run(folder, tmp_path / "own.jsonl", "--agent", server.base_url)
        run(folder, tmp_path / "some.jsonl", "--agent", server.base_url, "--tools", "search,python")
        offered = [[tool["function"]["name"] for tool in request.body["tools"]] for request in server.requests]
    assert sorted(offered) == [["search"], ["search"], ["search", "browse"], ["search", "browse"]]
    own, some = list(read_set(tmp_path / "own.jsonl")), list(read_set(tmp_path / "some.jsonl"))
    assert [row.correct for row in (*own, *some)] == [True, True, False, False]
    assert {row.group for row in own} == {task.id for task in tasks.values()}
    assert {(row.source, row.licence) for row in own} == {("sampled-synth-lookups", "Apache-2.0")}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_after_it_was_killed(tmp_path: Path, questions: Path, how: signal.Signals) -> None:
    out, stuck, arrived = tmp_path / "out.jsonl", True, threading.Event()

    def answer(body: dict[str, Any]) -> str | Fault:
        if stuck and asked(body) == 4:
            arrived.set()
            return Fault.hang()
        return knows_odd(body)

    with ChatServer(answer) as server:
        words = ["data", "sample", str(questions), str(out), "--agent", server.base_url, "--concurrency", "1"]
        process = subprocess.Popen([sys.executable, "-m", "reagent_sdk", *words], stderr=subprocess.PIPE)
        assert arrived.wait(120)
        process.send_signal(how)
        _, said = process.communicate(timeout=60)
        assert process.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
        assert how is signal.SIGKILL or b"give the same command to go on" in said
        assert not out.exists()
        (journal,) = tmp_path.glob(".*journal*")
        with journal.open("a") as torn:
            torn.write('{"key": "torn')
        other = refused(questions, out, "--agent", server.base_url, "--seed", 1, "--temperatures", 0.2)
        assert "(seed: 0 there, 1 now; temperatures: [0.7] there, [0.2] now)" in other
        stuck = False
        result = run(questions, out, "--agent", server.base_url)
        assert sorted(asked(request.body) for request in server.requests) == [1, 2, 3, 4, 4, 5, 6]
    assert "3 of 6 rollouts are done already" in result.stderr
    assert [row.task.question for row in read_set(out)] == [row["question"] for row in SUMS]
    assert not journal.exists()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"question": "a?", "answer": "1"}\n{"question": " ", "answer": "1"}', 'row 2: "question" must be a text'),
        ('{"question": "a?", "answer": []}', 'row 1: "answer" must be a text, a number or a list of them'),
        ('{"question": "a?", "answer": true}', 'row 1: "answer" must be a text, a number or a list of them'),
        ('{"question": "a?"', "row 1: not JSON"),
        ("", "holds no questions"),
    ],
)
def test_bad_questions_are_one_line(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(lines)
    assert said in refused(path, tmp_path / "out.jsonl", "--agent", "http://127.0.0.1:9/v1")
    assert [one.name for one in tmp_path.iterdir()] == ["q.jsonl"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--temperatures", "warm"], "--temperatures is 'warm'"),
        (["--temperatures", "0.5,0.5"], "--temperatures names something twice"),
        (["--tools", "hammer"], "there is no tool 'hammer'"),
        (["--tools", "own"], "--tools own is for folders"),
        (["--budget-usd", "nan"], "--budget-usd is nan"),
        (["--budget-usd", "1"], "nobody knows what http://127.0.0.1:9/v1 costs"),
        (["--agent", "nonsense"], "does not name a model"),
    ],
)
def test_bad_options_are_one_line(tmp_path: Path, questions: Path, words: list[str], said: str) -> None:
    assert said in refused(questions, tmp_path / "out.jsonl", "--agent", "http://127.0.0.1:9/v1", *words)
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("reply", "reference", "right"),
    [
        ("She makes $18 a day.", "18", True),
        ("9 * 2 = $18 every day.", "18", True),
        ("It is 17 or 18.", "18", False),
        ("Answer: 1,200.0", "1200", True),
        ("#### Check\nI did.\n#### 18", "18", True),
        ("Answer: **Washington, D.C.**", "Washington D.C.", True),
        ("Answer: Paris, France", "Paris", False),
        ("Answer: not known", "no", False),
        ("Answer: untrue", "true", False),
        ("First \\boxed{3}, then\n\\boxed{\\frac{1}{2}}", "0.5", True),
        ("The answer is: $\\boxed{p-q}$.", "p - q", True),
        ("\\boxed{p + q}", "p - q", False),
        ("\\boxed{[1,2)}", "(1,2]", False),
        ("\\boxed{\\text{Evelyn}}", "Evelyn", True),
        ("Answer: 0", "0", True),
        ("Paris or London or Rome", "London", False),
        ("", "18", False),
    ],
)
def test_answers_are_graded(reply: str, reference: str, right: bool) -> None:
    assert is_right(reply, [reference]) is right


def test_a_cut_off_reply_is_right_only_where_it_marks_its_answer() -> None:
    assert not is_right("So far\n18", ["18"], cut_off=True)
    assert is_right("Answer: 18\nThis is bec", ["18"], cut_off=True)


@given(st.text())
def test_any_text_is_graded(text: str) -> None:
    assert not is_right(text, ["a reference that no text holds"])
    assert len(final_answer(text).splitlines()) <= 1


@given(
    st.integers(-(10**9), 10**9), st.sampled_from(["Answer: {:,}", "so \\boxed{{{}}}", "1 + 1 = 2\n\n#### {}", "= {}."])
)
def test_every_number_is_found(number: int, form: str) -> None:
    assert is_right(form.format(number), [str(number)])
    assert not is_right(form.format(number), [str(number + 1)])


def test_real_references_are_right_answers_to_themselves(shared_data: Path) -> None:
    for file in ("gsm8k/test", "arpo_eval/math500", "arpo_eval/hotpotqa", "arpo_eval/SimpleQA"):
        for line in (shared_data / f"{file}.jsonl").read_text().splitlines():
            answer = json.loads(line)["answer"]
            for reference in [answer] if isinstance(answer, str) else map(str, answer):
                assert is_right(f"Well.\nAnswer: {reference_of(reference)}", [reference_of(reference)])


def test_grades_agree_with_published_ones(shared_data: Path) -> None:
    for file, least in (("gsm8k", 1.0), ("math", 0.98), ("college_math", 0.78)):
        rows = [json.loads(line) for line in (shared_data / "realcritic" / f"{file}.jsonl").read_text().splitlines()]
        same = [is_right(row["reasoning"], [row["gt"]]) == row["previous_score"][0] for row in rows]
        assert sum(same) / len(same) >= least


@pytest.mark.real_model
def test_the_local_model_is_sampled(tmp_path: Path) -> None:
    models.pull("smollm2-135m-instruct")
    questions = tmp_path / "q.jsonl"
    questions.write_text(
        '{"question": "What is 7 times 8?", "answer": 56}\n{"question": "What is 3 + 4?", "answer": 7}\n'
    )
    out = tmp_path / "out.jsonl"
    report = json.loads(run(questions, out, "--agent", "local", "--max-tokens", 48, "--json").stdout)
    rows: list[LabelledTrajectory] = list(read_set(out))
    assert len(rows) == report["rows"] == 2
    assert all(row.trajectory.answer.strip() and row.metadata["agent"] == "local" for row in rows)
    assert report["usage"]["calls"] == 2
