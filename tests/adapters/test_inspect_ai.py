from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import Epochs, Task, eval, eval_async
from inspect_ai.agent import react
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, EvalSample, read_eval_log, read_eval_log_async
from inspect_ai.model import (
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ContentReasoning,
    ContentText,
    Model,
    ModelOutput,
    ModelUsage,
    get_model,
)
from inspect_ai.scorer import includes, match
from inspect_ai.solver import Generate, Solver, TaskState, generate, multiple_choice, solver, system_message, use_tools
from inspect_ai.tool import Tool, tool
from inspect_ai.util import store
from reagent_adapters import versions
from reagent_adapters.inspect_ai import RUN, critique, rrm_scorer

from reagent_sdk import Budget, InvalidInput, Policy, Run, RunStatus, StopReason, Verdict, VerdictStatus
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.prompts import VERDICT_GRAMMAR
from reagent_sdk.testing import ChatServer, ScriptedJudge

from .real_model import KEY, model_url  # noqa: F401 - the fixture

NAME = "inspect_ai solver"
NOT_APPLICABLE = {(NAME, "stream"): "solvers return a state; inspect_ai streams nothing of them to a caller"}
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:inspect_ai.*"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # inspect_ai's logs and their readers
    pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"),
]
VERDICT = "<analysis>a</analysis><critique>{}</critique><score>{}</score>"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path / "logs"))
    monkeypatch.setenv("INSPECT_DISPLAY", "none")


def say(text: str) -> ModelOutput:
    return metered(ModelOutput.from_content("mockllm/model", text))


def call(name: str, **arguments: Any) -> ModelOutput:
    return metered(ModelOutput.for_tool_call("mockllm/model", name, arguments, content=""))


def metered(output: ModelOutput, **usage: int) -> ModelOutput:
    """With its usage: inspect_ai would count the tokens itself, with a tokenizer from the network."""
    output.usage = ModelUsage(**{"input_tokens": 5, "output_tokens": 5, "total_tokens": 10} | usage)
    return output


def model(*outputs: ModelOutput) -> Model:
    return get_model("mockllm/model", custom_outputs=list(outputs), memoize=False)


@tool
def add() -> Tool:
    async def execute(x: int, y: int) -> str:
        """Adds two numbers.

        Args:
            x: one
            y: the other
        """
        store().set("sums", [*store().get("sums", []), x + y])
        return str(x + y)

    return execute


def evaluated(solver: Any, model: Model, sample: Sample | None = None, **options: Any) -> EvalLog:
    task = Task(dataset=[sample or Sample(input="What is 2+3?", target="5", id="q")], solver=solver, scorer=match())
    (log,) = eval(task, model=model, **options)
    return read_eval_log(log.location)


def sample_of(log: EvalLog) -> EvalSample:
    assert log.status == "success", log.error
    assert log.samples
    return log.samples[0]


def run_of(sample: EvalSample) -> Run:
    return Run.model_validate(sample.store[RUN])


@pytest.mark.feature(NAME, "sync", "tools seen", "memory kept")
def test_a_revision_goes_on_from_the_draft_and_the_judge_sees_every_tool_call() -> None:
    judge = ScriptedJudge([(0.2, "add them with the tool"), (0.9, "fine")])
    seen: list[list[Any]] = []

    def answer(messages: list[Any], *_: Any) -> ModelOutput:
        seen.append(list(messages))
        return [call("add", x=2, y=2), say("4"), call("add", x=2, y=3), say("5")][len(seen) - 1]

    mock = get_model("mockllm/model", custom_outputs=answer, memoize=False)
    log = evaluated([use_tools(add()), critique(judge=judge)], mock)
    sample = sample_of(log)
    assert sample.output.completion == "5"
    assert sample.scores is not None
    assert sample.scores["match"].value == "C"
    assert sample.store["sums"] == [4, 5]
    draft, revision = (trajectory for _, trajectory in judge.seen)
    assert judge.seen[0][0].question == "What is 2+3?"
    assert [(m.role, m.text) for m in draft.messages] == [
        ("assistant", draft.messages[0].text),
        ("tool", "4"),
        ("assistant", "4"),
    ]
    (made,) = draft.messages[0].tool_calls or ()
    assert (made.name, made.arguments_text, made.id) == ("add", '{"x": 2, "y": 2}', draft.messages[1].tool_call_id)
    assert [m.text for m in revision.messages if m.role == "tool"] == ["4", "5"]
    assert not any(m.role == "user" for m in revision.messages)  # the critique is no part of the work
    asked = seen[2]
    assert [m.role for m in asked] == ["user", "assistant", "tool", "assistant", "user"]
    assert "add them with the tool" in asked[-1].text
    run = run_of(sample)
    assert (run.stop, run.chosen, run.score) == (StopReason.ROUNDS, 1, 0.9)
    assert run.task.metadata == {"sample_id": "q", "epoch": 1}
    assert sample.metadata[RUN]["scores"] == [0.2, 0.9]
    told = [event.data for event in sample.events if event.event == "info" and event.source == "reagent"]
    assert [(one["attempt"], one["score"], one["critique"]) for one in told] == [
        (0, 0.2, "add them with the tool"),
        (1, 0.9, "fine"),
    ]


@pytest.mark.feature(NAME, "async", "best kept")
@pytest.mark.anyio
async def test_the_better_draft_comes_back_with_messages_output_and_store() -> None:
    judge = ScriptedJudge([(0.8, "shorter"), (0.1, "worse")])
    mock = model(call("add", x=2, y=3), say("5"), call("add", x=9, y=9), say("18"))
    task = Task(
        dataset=[Sample(input="2+3?", target="5")], solver=[use_tools(add()), critique(judge=judge)], scorer=match()
    )
    (log,) = await eval_async(task, model=mock)
    sample = sample_of(await read_eval_log_async(log.location))
    assert sample.output.completion == "5"
    assert [m.role for m in sample.messages] == ["user", "assistant", "tool", "assistant"]
    assert sample.messages[-1].text == "5"
    assert sample.store["sums"] == [5]
    assert sample.scores is not None
    assert sample.scores["match"].value == "C"
    assert run_of(sample).chosen == 0


def test_agents_lists_and_names_are_solvers_as_well() -> None:
    judge = ScriptedJudge([(0.2, "say why"), (0.9, "good")])
    submit = [call("submit", answer="4"), call("submit", answer="5")]
    sample = sample_of(evaluated(critique(react(tools=[add()]), judge=judge), model(*submit)))
    assert sample.output.completion == "5"
    assert judge.seen[0][1].answer == "4"
    judge = ScriptedJudge([(0.2, "again"), (0.9, "good")])
    prompted = critique([system_message("Be brief."), generate()], judge=judge)
    assert sample_of(evaluated(prompted, model(say("4"), say("5")))).output.completion == "5"
    assert all(m.role != "system" for m in judge.seen[1][1].messages)
    judge = ScriptedJudge([0.2, 0.9])
    assert sample_of(evaluated(critique("generate", judge=judge), model(say("4"), say("5")))).output.completion == "5"


def test_the_choices_of_the_chosen_attempt_are_marked_and_the_judge_reads_them() -> None:
    from inspect_ai.scorer import choice

    judge = ScriptedJudge([(0.9, "good"), (0.1, "bad")])
    quiz = Task(
        dataset=[Sample(input="Which is even?", choices=["three", "four"], target="B")],
        solver=critique(multiple_choice(), judge=judge, policy=Policy(accept=None)),
        scorer=choice(),
    )
    (log,) = eval(quiz, model=model(say("ANSWER: B"), say("ANSWER: A")))
    sample = sample_of(log)
    assert sample.scores is not None
    assert sample.scores["choice"].value == "C"
    assert "A) three\nB) four" in judge.seen[0][0].question
    assert "Which is even?" in judge.seen[0][0].question


def test_reasoning_media_history_and_tool_errors_reach_the_judge_and_the_target_does_not() -> None:
    judge = ScriptedJudge([1.0])
    thought = say("x")
    thought.choices[0].message.content = [ContentReasoning(reasoning="two and three"), ContentText(text="5")]
    given = [ChatMessageSystem(content="Count."), ChatMessageUser(content="hello"), ChatMessageUser(content="2+3?")]
    sample = Sample(input=list(given), target="SECRET-TARGET")

    @solver
    def breaks() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            from inspect_ai.tool import ToolCallError

            state = await generate(state)
            error = ToolCallError("timeout", "too slow")
            state.messages.append(ChatMessageTool(content="", tool_call_id="1", function="add", error=error))
            return state

        return solve

    done = sample_of(evaluated(critique(breaks(), judge=judge, policy=Policy(rounds=0)), model(thought), sample))
    task, trajectory = judge.seen[0]
    assert task.question == "2+3?"
    assert [m.text for m in task.history] == ["Count.", "hello"]
    assert trajectory.messages[0].reasoning == "two and three"
    assert trajectory.messages[0].text == "5"
    assert trajectory.messages[1].text == "error (timeout): too slow"
    assert "SECRET-TARGET" not in run_of(done).model_dump_json()


@pytest.mark.feature(NAME, "budget")
def test_the_budget_stops_the_agent_before_a_call_it_does_not_cover() -> None:
    judge = ScriptedJudge([(0.2, "try again")])
    used = {"input_tokens": 10, "output_tokens": 2, "input_tokens_cache_read": 5, "total_tokens": 17}
    outputs = [say("4"), call("add", x=1, y=1), call("add", x=1, y=2), say("5")]
    outputs = [metered(output, **used) for output in outputs]
    solve = [use_tools(add()), critique(judge=judge, budget={"calls": 4})]
    sample = sample_of(evaluated(solve, model(*outputs)))
    run = run_of(sample)
    assert (run.stop, run.usage.calls, run.chosen) == (StopReason.BUDGET, 4, 0)
    assert sample.output.completion == "4"
    assert sample.limit is None
    assert run.attempts[0].trajectory.usage.calls == 1
    assert (run.usage.prompt_tokens, run.usage.cached_tokens, run.usage.completion_tokens) == (45, 15, 6)
    assert run.usage.cost_usd is None
    counted = sample.model_usage["mockllm/model"]
    assert (counted.input_tokens, counted.output_tokens) == (30, 6)  # and inspect_ai counts them as ever


def test_a_budget_that_ends_before_any_draft_is_a_limit_of_the_sample() -> None:
    judge = ScriptedJudge([0.5])
    solve = [use_tools(add()), critique(judge=judge, budget=Budget(calls=1))]
    sample = sample_of(evaluated(solve, model(call("add", x=1, y=1), say("2"))))
    assert sample.limit is not None
    assert (sample.limit.type, sample.limit.limit) == ("custom", 1)
    assert not judge.seen
    assert sample.store[RUN]["chosen"] is None


@pytest.mark.parametrize("limits", [{"message_limit": 3}, {"token_limit": 12}], ids=["messages", "tokens"])
def test_a_limit_of_the_sample_in_a_revision_ends_it_with_the_draft(limits: dict[str, int]) -> None:
    judge = ScriptedJudge([(0.3, "use the tool")])
    outputs = [say("5"), call("add", x=1, y=1), say("7")]
    sample = sample_of(evaluated([use_tools(add()), critique(judge=judge)], model(*outputs), **limits))
    assert sample.limit is not None
    assert sample.limit.type == next(iter(limits)).removesuffix("_limit")
    assert (sample.output.completion, len(sample.messages)) == ("5", 2)
    assert sample.scores is not None
    assert sample.scores["match"].value == "C"
    assert run_of(sample).stop is StopReason.REVISION_FAILED


@pytest.mark.feature(NAME, "cancellation")
@pytest.mark.anyio
async def test_cancelling_the_evaluation_stops_the_agent_and_the_judge() -> None:
    stopped: list[str] = []

    async def wait(name: str, started: asyncio.Event) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(name)
            raise

    for name in ("agent", "judge"):
        started = asyncio.Event()

        async def work(state: TaskState, generate: Generate) -> TaskState:
            if name == "agent":  # noqa: B023
                await wait("agent", started)  # noqa: B023
            return await generate(state)

        async def judge(task: Any, trajectory: Any) -> float:
            await wait("judge", started)  # noqa: B023
            return 1.0

        task = Task(dataset=[Sample(input="2+3?")], solver=critique(solver(lambda: work)(), judge=judge))
        evaluation = asyncio.ensure_future(eval_async(task, model=model(say("5"))))
        await asyncio.wait_for(started.wait(), 60)
        evaluation.cancel()
        await asyncio.wait([evaluation], timeout=60)
        assert evaluation.done()
        assert evaluation.cancelled() or evaluation.exception() or evaluation.result()[0].status == "cancelled"
    assert stopped == ["agent", "judge"]


def test_a_time_limit_during_a_revision_leaves_the_draft_for_scoring() -> None:
    calls = 0

    async def work(state: TaskState, generate: Generate) -> TaskState:
        nonlocal calls
        calls += 1
        if calls > 1:
            await asyncio.Event().wait()
        return await generate(state)

    solve = critique(solver(lambda: work)(), judge=ScriptedJudge([(0.2, "again")]))
    sample = sample_of(evaluated(solve, model(say("5")), time_limit=3))
    assert calls == 2
    assert sample.limit is not None
    assert sample.limit.type == "time"
    assert (sample.output.completion, [m.role for m in sample.messages]) == ("5", ["user", "assistant"])
    assert sample.metadata[RUN]["score"] == 0.2


@pytest.mark.feature(NAME, "judge failure")
def test_a_failed_judge_leaves_the_draft_unjudged() -> None:
    judge = ScriptedJudge([RuntimeError("judge is down")])
    sample = sample_of(evaluated(critique(judge=judge), model(say("5"))))
    run = run_of(sample)
    assert (run.status, run.stop, sample.output.completion) == (RunStatus.UNJUDGED, StopReason.JUDGE_FAILED, "5")
    log = evaluated(critique(judge=judge, policy={"on_judge_failure": "raise"}), model(say("5")))
    assert log.status == "error"


def test_a_sample_that_fails_is_retried_with_a_run_of_its_own() -> None:
    judge = ScriptedJudge([(0.2, "again"), (0.9, "good")])
    failures = iter([True, False])

    @solver
    def shaky() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            if next(failures, False):
                raise RuntimeError("the sandbox broke")
            return await generate(state)

        return solve

    log = evaluated(critique(shaky(), judge=judge), model(say("4"), say("5")), retry_on_error=1)
    sample = sample_of(log)
    assert sample.output.completion == "5"
    assert len(sample.error_retries or []) == 1
    assert len(run_of(sample).attempts) == 2


def test_the_judge_scores_samples_and_a_failed_one_is_unscored_and_not_zero() -> None:
    def judge(task: Any, trajectory: Any) -> Verdict:
        if trajectory.answer == "down":
            return Verdict.failed(VerdictStatus.UNAVAILABLE, "no route")
        return Verdict.of({"5": 0.9, "4": 0.5}[trajectory.answer], "show the sum", analysis="checked")

    samples = [Sample(input=f"2+3? ({index})", target="5", id=index) for index in range(3)]
    task = Task(dataset=samples, solver=generate(), scorer=[rrm_scorer(judge=judge), match()])
    (log,) = eval(task, model=model(say("5"), say("4"), say("down")), max_connections=1, max_samples=1)
    log = read_eval_log(log.location)
    assert log.results
    judged = next(score for score in log.results.scores if score.name == "rrm_scorer")
    assert (judged.scored_samples, judged.unscored_samples) == (2, 1)
    assert judged.metrics["mean"].value == pytest.approx(0.7)
    assert judged.metrics["stderr"].value > 0
    assert log.samples
    scores = [(sample.scores or {})["rrm_scorer"] for sample in log.samples]
    assert (scores[0].value, scores[0].explanation, scores[0].answer) == (0.9, "show the sum", "5")
    assert scores[0].metadata is not None
    assert scores[0].metadata["status"] == "scored"
    assert scores[2].value != scores[2].value  # NaN, the mark of an unscored sample
    assert (scores[2].explanation, (scores[2].metadata or {})["status"]) == ("no route", "unavailable")


def test_a_failed_verdict_of_one_epoch_does_not_pull_the_others_down() -> None:
    judge = ScriptedJudge([0.8, VerdictStatus.TRUNCATED])
    task = Task(dataset=[Sample(input="2+3?")], solver=generate(), scorer=rrm_scorer(judge=judge), epochs=Epochs(2))
    (log,) = eval(task, model=model(say("5"), say("5")), max_samples=1)
    assert log.results
    assert log.results.scores[0].metrics["mean"].value == pytest.approx(0.8)


def test_the_scorer_reads_a_critiqued_sample_as_the_solver_did() -> None:
    solving, scoring = ScriptedJudge([(0.2, "use the tool"), 0.9]), ScriptedJudge([0.6])
    task = Task(
        dataset=[Sample(input="2+3?")],
        solver=[use_tools(add()), critique(judge=solving)],
        scorer=[rrm_scorer(judge=scoring), includes()],
    )
    (log,) = eval(task, model=model(call("add", x=2, y=2), say("4"), call("add", x=2, y=3), say("5")))
    assert log.status == "success"
    assert scoring.seen[0][1].same_work(solving.seen[1][1])
    assert scoring.seen[0][0].question == solving.seen[0][0].question


@pytest.mark.real_model
def test_a_real_model_answers_and_a_real_judge_judges(model_url: str) -> None:  # noqa: F811
    def answer(messages: list[Any], *_: Any) -> ModelOutput:
        asked = [{"role": message.role, "content": message.text} for message in messages]
        body = {"messages": asked, "max_tokens": 48, "temperature": 0}
        headers = {"Authorization": f"Bearer {KEY}"}
        reply = httpx.post(f"{model_url}/chat/completions", json=body, headers=headers, timeout=120).json()
        used = reply["usage"]
        output = ModelOutput.from_content("mockllm/model", reply["choices"][0]["message"]["content"])
        return metered(output, input_tokens=used["prompt_tokens"], output_tokens=used["completion_tokens"])

    sampling = Sampling(temperature=0.0, max_tokens=640, grammar=VERDICT_GRAMMAR)
    judge = ModelJudge(OpenAICompatible(model_url, api_key=KEY), JudgeSettings(sampling=sampling, max_chars=16_000))
    real = get_model("mockllm/model", custom_outputs=answer, memoize=False)
    sample = sample_of(evaluated(critique(judge=judge), real))
    run = run_of(sample)
    assert sample.output.completion == run.answer
    assert run.score == max(attempt.score or 0 for attempt in run.attempts)
    assert run.usage.calls == 2 * len(run.attempts)
    assert run.usage.unmetered_calls == 0
    counted = sample.model_usage["mockllm/model"]
    assert 0 < counted.output_tokens < run.usage.completion_tokens


def test_settings_that_cannot_work_are_told_at_once() -> None:
    with pytest.raises(InvalidInput):
        critique(judge="no judge at all")
    with pytest.raises(ValueError, match="rounds"):
        critique(judge=ScriptedJudge([1.0]), policy={"rounds": -1})


def test_an_unsupported_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda package: "0.3.150")
    with pytest.raises(versions.UnsupportedVersion, match=r"inspect-ai 0\.3\.150 is installed"):
        versions.require.__wrapped__("inspect-ai", "inspect")


TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes

def say(text):
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    return output

@task
def sums():
    model = get_model("mockllm/model", custom_outputs=[say("4"), say("5")])
    return Task(dataset=[Sample(input="What is 2+3?", target="5")], scorer=includes(), model=model)
"""


@pytest.fixture
def entry_point(tmp_path: Path) -> Iterator[Path]:
    """A folder that declares the entry point, as an installed package does."""
    info = tmp_path / "site" / "reagent_entry-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: reagent-entry\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[inspect_ai]\nreagent_adapters = reagent_adapters.inspect_ai\n")
    return info.parent


def test_the_command_line_finds_solver_and_scorer_by_name(tmp_path: Path, entry_point: Path) -> None:
    (tmp_path / "sums.py").write_text(TASK)
    logs = tmp_path / "logs"
    with ChatServer([VERDICT.format("say more", 0.2), VERDICT.format("good", 0.9)]) as server:
        command = [sys.executable, "-m", "inspect_ai", "eval", "sums.py"]
        command += [
            "--solver",
            "reagent_adapters/critique",
            "-S",
            f"judge={server.base_url}",
            "-S",
            "policy={rounds: 1}",
        ]
        path = os.pathsep.join([str(entry_point), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "INSPECT_LOG_DIR": str(logs), "INSPECT_DISPLAY": "plain"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (written,) = logs.glob("*.eval")
    log = read_eval_log(str(written))
    assert log.eval.solver == "reagent_adapters/critique"
    sample = sample_of(log)
    assert [attempt.score for attempt in run_of(sample).attempts] == [0.2, 0.9]
    assert sample.output.completion == "5"
    assert any(m.role == "user" and "say more" in m.text for m in sample.messages)
