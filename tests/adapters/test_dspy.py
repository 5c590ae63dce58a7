from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import pytest

pytest.importorskip("dspy")

import dspy
from dspy.utils.dummies import DummyLM
from reagent_adapters import versions
from reagent_adapters.dspy import CritiqueModule, Unscored, critique_metric, critique_reward, run_of

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, Policy, RunStatus, StopReason, Verdict, VerdictStatus
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.prompts import VERDICT_GRAMMAR
from reagent_sdk.testing import ChatServer, Reply, ScriptedJudge

from .real_model import KEY, MODEL, model_url  # noqa: F401 - a fixture

NAME = "DSPy module"
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scripted(DummyLM):  # type: ignore[misc]
    """One script for all copies: Refine copies the model, and early versions of DSPy copied the script's state too."""

    def copy(self, **_: Any) -> Scripted:
        return self


def lm(*answers: dict[str, Any]) -> DummyLM:
    return Scripted([dict(answer) for answer in answers])


def asked(model: DummyLM, call: int) -> str:
    """What the model was asked in a call: the last message."""
    return str(model.history[call]["messages"][-1]["content"])


def add(x: int, y: int) -> int:
    """Adds two numbers."""
    return x + y


def turns(total: int, answer: str) -> list[dict[str, Any]]:
    """What a ReAct module is told by its model: one sum, the end and the answer."""
    return [
        {"next_thought": "add them", "next_tool_name": "add", "next_tool_args": {"x": 2, "y": total - 2}},
        {"next_thought": "done", "next_tool_name": "finish", "next_tool_args": {}},
        {"reasoning": "as the tool says", "answer": answer},
    ]


@pytest.mark.feature(NAME, "sync")
def test_a_revision_is_told_its_earlier_answer_and_the_critique_and_nothing_else() -> None:
    judge = ScriptedJudge([Verdict.of(0.2, "count again", analysis="SECRET-ANALYSIS"), 0.9])
    model = lm({"answer": "4"}, {"answer": "5"})
    module = CritiqueModule(dspy.Predict("question -> answer"), judge=judge)
    with dspy.context(lm=model):
        prediction = module(question="2+3?")
    assert isinstance(prediction, dspy.Prediction)
    assert (prediction.answer, dict(prediction.items())) == ("5", {"answer": "5"})
    run = run_of(prediction)
    assert (run.task.question, run.chosen, run.score, run.stop) == ("2+3?", 1, 0.9, StopReason.ROUNDS)
    assert "critique_of_it" not in asked(model, 0)
    assert "[[ ## earlier_attempt ## ]]\n4" in asked(model, 1)
    assert "count again" in asked(model, 1)
    assert "SECRET-ANALYSIS" not in str(model.history)
    assert "0.2" not in asked(model, 1)
    module.close()


@pytest.mark.feature(NAME, "async", "best kept")
@pytest.mark.anyio
async def test_the_better_draft_comes_back_with_its_own_trace() -> None:
    judge = ScriptedJudge([(0.8, "shorter"), (0.1, "worse")])
    module = CritiqueModule(dspy.ChainOfThought("question -> answer"), judge=judge)
    answers = lm({"reasoning": "two and three", "answer": "5"}, {"reasoning": "hm", "answer": "6"})
    with dspy.context(lm=answers, trace=[]):
        prediction = await module.acall(question="2+3?")
        trace = list(dspy.settings.trace)
    assert (prediction.answer, prediction.reasoning) == ("5", "two and three")
    assert [step.answer for _, _, step in trace] == ["5"]
    assert [set(inputs) for _, inputs, _ in trace] == [{"question"}]
    (message,) = judge.seen[0][1].messages
    assert (message.text, message.reasoning) == ("5", "two and three")


@pytest.mark.feature(NAME, "tools seen")
def test_the_judge_sees_every_tool_call_of_an_agent_and_those_that_a_revision_builds_on() -> None:
    judge = ScriptedJudge([(0.2, "add again"), 0.9])
    module = CritiqueModule(dspy.ReAct("question -> answer", tools=[add]), judge=judge)
    with dspy.context(lm=lm(*turns(4, "4"), *turns(5, "5"))):
        prediction = module(question="2+3?")
    assert prediction.answer == "5"
    draft, revision = (trajectory for _, trajectory in judge.seen)
    assert [m.role for m in draft.messages] == ["assistant", "tool", "assistant", "tool", "assistant"]
    (call,) = draft.messages[0].tool_calls or ()
    assert (call.name, call.arguments_text, draft.messages[0].text) == ("add", '{"x":2,"y":2}', "add them")
    assert (draft.messages[1].text, draft.messages[1].tool_call_id) == ("4", call.id)
    assert (draft.answer, draft.messages[-1].reasoning) == ("4", "as the tool says")
    assert [m.text for m in revision.messages if m.role == "tool"] == ["4", "Completed.", "5", "Completed."]


def test_programs_of_several_predictors_show_their_steps() -> None:
    class Program(dspy.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.plan = dspy.Predict("question -> plan")
            self.answer = dspy.Predict("question, plan -> answer, unit")

        def forward(self, question: str) -> Any:
            return self.answer(question=question, plan=self.plan(question=question).plan)

    judge = ScriptedJudge([1.0])
    module = CritiqueModule(Program(), judge=judge, policy=Policy(rounds=0))
    with dspy.context(lm=lm({"plan": "add"}, {"answer": "5", "unit": "apples"})):
        module(question="2+3?")
    (_, trajectory), *_ = judge.seen
    assert [m.text for m in trajectory.messages] == ["add", "answer: 5\nunit: apples"]
    assert [name for name, _ in module.named_predictors()] == ["module.plan", "module.answer"]


def test_code_and_notebooks_count_as_tool_calls() -> None:
    from reagent_adapters.dspy_work import trajectory_of

    rlm = [{"reasoning": "try", "code": "print(2+3)", "output": "5"}]
    for kept in (rlm, {"generated_code_0": "print(2+3)", "code_output_0": "5"}):
        work = trajectory_of(dspy.Prediction(trajectory=kept, answer="5"))
        (call,) = work.messages[0].tool_calls or ()
        assert (call.name, call.arguments_text) == ("python", '{"code":"print(2+3)"}')
        assert [m.text for m in work.messages[1:]] == ["5", "5"]


@pytest.mark.feature(NAME, "memory kept")
def test_the_conversation_before_stays_as_it_was() -> None:
    class Talk(dspy.Signature):  # type: ignore[misc]
        question: str = dspy.InputField()
        history: dspy.History = dspy.InputField()
        answer: str = dspy.OutputField()

    judge = ScriptedJudge([(0.2, "again"), 0.9])
    history = dspy.History(messages=[{"question": "my name?", "answer": "Ann"}])
    model = lm({"answer": "4"}, {"answer": "5"})
    with dspy.context(lm=model):
        CritiqueModule(dspy.Predict(Talk), judge=judge)(question="2+3?", history=history)
    assert history.messages == [{"question": "my name?", "answer": "Ann"}]
    for call in model.history:
        assert "my name?" in str(call["messages"][1:])
    task = judge.seen[0][0]
    assert (task.question, task.history[0].text) == ("2+3?", "question: my name?\nanswer: Ann")


@pytest.mark.feature(NAME, "budget")
def test_the_budget_stops_the_module_before_a_call_it_does_not_cover() -> None:
    judge = ScriptedJudge([(0.3, "again")])
    module = CritiqueModule(dspy.ReAct("question -> answer", tools=[add]), judge=judge, budget=Budget(calls=6))
    model = lm(*turns(4, "4"), *turns(5, "5"))
    with dspy.context(lm=model):
        prediction = module(question="2+3?")
    run = run_of(prediction)
    assert (prediction.answer, run.stop, run.usage.calls) == ("4", StopReason.BUDGET, 6)
    assert len(model.history) == 5  # and one of the judge
    assert run.usage.cost_usd is None
    with dspy.context(lm=lm(*turns(4, "4"))), pytest.raises(BudgetExceeded):
        CritiqueModule(dspy.ReAct("question -> answer", tools=[add]), judge=judge, budget=Budget(calls=2))(question="?")


def test_tokens_that_models_report_are_counted() -> None:
    said = "[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
    judge = ScriptedJudge([(0.3, "again"), 0.9])
    module = CritiqueModule(dspy.Predict("question -> answer"), judge=judge)
    with ChatServer([Reply(said.format(4), usage=(20, 4)), Reply(said.format(5), usage=(30, 5))]) as server:
        real = dspy.LM("openai/test-model", api_base=server.base_url, api_key="k", cache=False)
        with dspy.context(lm=real):
            prediction = module(question="2+3?")
    assert prediction.answer == "5"
    used = [attempt.trajectory.usage for attempt in run_of(prediction).attempts]
    assert [(one.calls, one.prompt_tokens, one.completion_tokens) for one in used] == [(1, 20, 4), (1, 30, 5)]
    usage = run_of(prediction).usage
    assert (usage.calls, usage.prompt_tokens, usage.unmetered_calls) == (4, 50, 2)  # the judge's two are unmetered


@pytest.mark.feature(NAME, "cancellation")
@pytest.mark.anyio
async def test_cancelling_stops_the_module_and_the_judge() -> None:
    stopped: list[str] = []
    started = asyncio.Event()

    async def wait(name: str) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(name)
            raise

    class Slow(dspy.Module):  # type: ignore[misc]
        async def aforward(self, question: str) -> Any:
            await wait("module")

    class Quick(dspy.Module):  # type: ignore[misc]
        async def aforward(self, question: str) -> Any:
            return dspy.Prediction(answer="5")

    async def judge(task: Any, trajectory: Any) -> float:
        await wait("judge")
        return 1.0

    for inner in (Slow(), Quick()):
        started.clear()
        work = asyncio.ensure_future(CritiqueModule(inner, judge=judge).acall(question="2+3?"))
        await asyncio.wait_for(started.wait(), 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    assert stopped == ["module", "judge"]


@pytest.mark.feature(NAME, "judge failure")
def test_a_failed_judge_leaves_the_draft_unjudged() -> None:
    judge = ScriptedJudge([RuntimeError("judge is down")])
    with dspy.context(lm=lm({"answer": "5"})):
        prediction = CritiqueModule(dspy.Predict("question -> answer"), judge=judge)(question="2+3?")
    assert (prediction.answer, run_of(prediction).status) == ("5", RunStatus.UNJUDGED)
    with pytest.raises(InvalidInput, match="comes from no CritiqueModule"):
        run_of(dspy.Prediction(answer="5"))


@pytest.mark.feature(NAME, "stream")
@pytest.mark.anyio
async def test_a_stream_gives_the_chosen_prediction_and_nothing_of_a_rejected_draft() -> None:
    judge = ScriptedJudge([(0.2, "again"), (0.9, "good")])
    module = CritiqueModule(dspy.Predict("question -> answer"), judge=judge)
    streaming = dspy.streamify(
        module, stream_listeners=[dspy.streaming.StreamListener("answer", predict=module.module)]
    )
    with dspy.context(lm=lm({"answer": "REJECTED"}, {"answer": "5"})):
        items = [item async for item in streaming(question="2+3?")]
    assert [type(item) for item in items] == [dspy.Prediction]
    assert items[0].answer == "5"


@pytest.mark.anyio
async def test_blocking_calls_work_inside_a_running_loop_and_from_threads() -> None:
    def once() -> str:
        with dspy.context(lm=lm({"answer": "5"})):
            return str(
                CritiqueModule(dspy.Predict("question -> answer"), judge=ScriptedJudge([1.0]))(question="?").answer
            )

    assert once() == "5"  # a loop is running here
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.append(once()))
    thread.start()
    await asyncio.to_thread(thread.join, 60)
    assert got == ["5"]


def test_the_critique_may_go_to_an_input_of_the_module() -> None:
    model = lm({"answer": "4"}, {"answer": "5"})
    module = CritiqueModule(
        dspy.Predict("question, hint -> answer"), judge=ScriptedJudge([(0.2, "count"), 0.9]), hint="hint"
    )
    with dspy.context(lm=model):
        assert module(question="2+3?", hint="none").answer == "5"
    assert "count" in asked(model, 1)
    assert "earlier_attempt" not in asked(model, 1)


def test_copies_share_the_judge_and_state_is_saved_without_it(tmp_path: Any) -> None:
    judge = ScriptedJudge([1.0])
    module = CritiqueModule(dspy.Predict("question -> answer"), judge=judge, policy=Policy(rounds=0))
    with dspy.context(lm=lm({"answer": "5"}, {"answer": "6"})):
        module(question="2+3?")
        assert module.deepcopy()(question="2+4?").answer == "6"
    assert len(judge.seen) == 2
    module.save(tmp_path / "state.json")
    module.load(tmp_path / "state.json")


def test_refine_and_best_of_n_choose_by_the_judges_score() -> None:
    for kind in (dspy.BestOfN, dspy.Refine):
        judge = ScriptedJudge([0.3, 0.9, 0.5])
        best = kind(dspy.Predict("question -> answer"), N=3, reward_fn=critique_reward(judge), threshold=0.95)
        advice = {"discussion": "d", "advice": {"self": "count"}}
        answers = [{"answer": "4"}, advice, {"answer": "5"}, advice, {"answer": "6"}]
        with dspy.context(lm=lm(*(answers if kind is dspy.Refine else answers[::2])), trace=[]):
            assert best(question="2+3?").answer == "5"
        assert [task.question for task, _ in judge.seen] == ["2+3?"] * 3


def test_an_attempt_that_the_judge_could_not_score_is_not_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    judge = ScriptedJudge([VerdictStatus.UNAVAILABLE, 0.1])
    best = dspy.BestOfN(dspy.Predict("question -> answer"), N=2, reward_fn=critique_reward(judge), threshold=0.9)
    with dspy.context(lm=lm({"answer": "4"}, {"answer": "5"}), trace=[]):
        assert best(question="2+3?").answer == "5"
    assert "the judge gave no score: unavailable: scripted" in capsys.readouterr().out
    with pytest.raises(Unscored) as failed:
        critique_reward(ScriptedJudge([VerdictStatus.TRUNCATED]))({"question": "?"}, dspy.Prediction(answer="5"))
    assert failed.value.verdict.status is VerdictStatus.TRUNCATED


def test_rewards_read_the_whole_trace_of_an_agent() -> None:
    judge = ScriptedJudge([1.0])
    agent = dspy.ReAct("question -> answer", tools=[add])
    best = dspy.BestOfN(agent, N=1, reward_fn=critique_reward(judge), threshold=0.9)
    with dspy.context(lm=lm(*turns(5, "5")), trace=[]):
        best(question="2+3?")
    assert [m.role for m in judge.seen[0][1].messages].count("tool") == 2


def test_evaluate_takes_the_score_and_gepa_the_critique() -> None:
    examples = [dspy.Example(question=f"{n}+3?", answer="5").with_inputs("question") for n in (1, 2)]
    metric = critique_metric(ScriptedJudge([(0.4, "say why"), (0.8, "fine")]))
    evaluate = dspy.Evaluate(devset=examples, metric=metric, num_threads=1, display_progress=False)
    with dspy.context(lm=lm({"answer": "4"}, {"answer": "5"})):
        result = evaluate(dspy.Predict("question -> answer"))
    assert float(result.score) == pytest.approx(60.0)
    told = metric(examples[0], dspy.Prediction(answer="5"), None, "predict", [])
    assert (told.score, told.feedback) == (0.8, "fine")
    with dspy.context(lm=lm({"answer": "4"})):
        dspy.GEPA(metric=metric, max_metric_calls=4, reflection_lm=lm({"answer": "x"}))  # it checks the signature


def test_a_metric_without_a_score_raises_or_is_not_a_number() -> None:
    example = dspy.Example(question="?", answer="5").with_inputs("question")
    failing = ScriptedJudge([Verdict.failed(VerdictStatus.UNAVAILABLE, "no route")])
    with pytest.raises(Unscored):
        critique_metric(failing)(example, dspy.Prediction(answer="5"))
    told = critique_metric(failing, on_failure="nan")(example, dspy.Prediction(answer="5"))
    assert math.isnan(told.score)
    assert told.feedback == "no route"
    assert "5" not in failing.seen[0][0].question  # the labels are not the judge's business


def test_an_unsupported_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda package: "2.6.27")
    with pytest.raises(versions.UnsupportedVersion, match=r"dspy 2\.6\.27 is installed"):
        versions.require.__wrapped__("dspy", "dspy")


@pytest.mark.real_model
def test_a_real_model_behind_a_real_server(model_url: str) -> None:  # noqa: F811
    sampling = Sampling(temperature=0.0, max_tokens=640, grammar=VERDICT_GRAMMAR)
    judge = ModelJudge(OpenAICompatible(model_url, api_key=KEY), JudgeSettings(sampling=sampling, max_chars=16_000))
    real = dspy.LM(f"openai/{MODEL}", api_base=model_url, api_key=KEY, max_tokens=64, temperature=0.0, cache=False)

    class Ask(dspy.Module):  # type: ignore[misc]
        """The smallest of models keep no output format, so the module asks it in plain words."""

        def forward(self, question: str) -> Any:
            return dspy.Prediction(answer=dspy.settings.lm(question)[0])

    with dspy.context(lm=real):
        run = run_of(CritiqueModule(Ask(), judge=judge, policy=Policy(rounds=0))(question="What is 2 + 3?"))
    assert run.answer
    assert run.score is not None
    assert run.usage.calls == 2
    assert run.usage.unmetered_calls == 0
    assert run.attempts[0].trajectory.usage.completion_tokens > 0
