"""The command's surface: help, options, exit codes, and one clear line for whatever goes wrong."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reagent_sdk import Attempt, Run, RunLog, StopReason, Task, Trajectory, Verdict, __version__
from reagent_sdk.cli import app
from reagent_sdk.cli.options import judge_spec
from reagent_sdk.messages import ToolCall
from reagent_sdk.models import read_manifest
from reagent_sdk.testing.server import ChatServer, Reply, refused_url

COMMANDS = (
    ("ask",),
    ("demo",),
    ("score",),
    ("doctor",),
    ("runs", "list"),
    ("runs", "show"),
    ("runs", "export"),
    ("models", "list"),
    ("models", "pull"),
    ("models", "remove"),
    ("models", "path"),
    ("corpus", "build"),
    ("corpus", "search"),
    ("corpus", "info"),
)
VERDICT = "<analysis>\nfor me alone\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>{}</score>"


@pytest.fixture(autouse=True)
def reagent_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test, without weights and without a judge in the environment."""
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "home"


def reagent(*words: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(app, list(words), input=stdin)


def judge_or_agent(score: float = 0.4, answer: str = "42") -> Any:
    """A server script that answers as the judge or as the agent, whoever is asked."""

    def script(body: dict[str, Any]) -> str:
        is_judge = "strict reviewer" in str(body["messages"][0]["content"])
        return VERDICT.format(score) if is_judge else answer

    return script


def stored_run(question: str = "q", **fields: Any) -> Run:
    attempt = Attempt(index=0, trajectory=Trajectory(answer="a"), verdict=Verdict.of(0.5, "c", analysis="inside"))
    return Run(task=Task.of(question), attempts=(attempt,), chosen=0, stop=StopReason.ROUNDS, why="Why.", **fields)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_examples_and_a_json_option(command: tuple[str, ...]) -> None:
    result = reagent(*command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert f"\n    reagent {' '.join(command)}" in result.stdout  # on a line of its own, to be copied
    assert max(len(line) for line in result.stdout.split("Example")[0].splitlines()) <= 80


def test_the_root_shows_its_help_and_its_version() -> None:
    assert "doctor" in reagent().stdout
    assert reagent("--version").stdout == f"reagent {__version__}\n"


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    heavy = ("litellm", "aiohttp", "xllamacpp", "torch", "transformers", "huggingface_hub")
    code = (
        "import sys\nfrom reagent_sdk.cli import main\nassert main(['ask', '--help']) == 0\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2  # 0.1 s on an idle machine


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["asl"], "No such command 'asl'. Did you mean 'ask'"),
        (["ask"], "Missing argument 'QUESTION'"),
        (["ask", "  "], "the question is empty"),
        (["ask", "q", "--rounds", "-1"], "--rounds"),
        (["ask", "q", "--rounds", "many"], "--rounds"),
        (["ask", "q", "--accept", "1.5"], "--accept is '1.5'; write a number from 0 to 1"),
        (["ask", "q", "--accept", "nan"], "--accept"),
        (["ask", "q", "--keep", "worst"], "--keep"),
        (["ask", "q", "--floor", "1.5"], "--floor"),
        (["ask", "q", "--max-usd", "-0.5"], "--max-usd is -0.5; write a number greater than 0"),
        (["ask", "q", "--max-seconds", "inf"], "--max-seconds"),
        (["ask", "q", "--max-calls", "0"], "--max-calls"),
        (["ask", "q", "--log", "x", "--no-log"], "exclude each other"),
        (["ask", "q", "--model", "gpt"], "'gpt' does not name a model"),
        (["ask", "q", "--model", "local:smollm2-135m"], "did you mean 'smollm2-135m-instruct'?"),
        (["score", "x.jsonl", "--judge", "local:agent-rm-tiny"], "did you mean 'agent-rrm-tiny'?"),
        (["ask", "q", "--judge", "nobody", "--model", "http://127.0.0.1:1/v1"], "unknown judge: 'nobody'"),
        (["demo", "--question", " "], "the question is empty"),
        (["score", "no-such-file.jsonl"], "cannot read no-such-file.jsonl"),
        (["models", "pull", "smolm2-135m-instruct"], "did you mean 'smollm2-135m-instruct'?"),
        (["models", "path", "nothing"], "unknown model 'nothing'"),
        (["models", "remove", "nothing"], "unknown model 'nothing'"),
        (["models", "remove", "smollm2-135m-instruct"], "is not installed"),
        (["models", "remove", "agent-rrm-tiny"], "comes with the package and stays"),
        (["models", "path", "agent-rm-tiny"], "did you mean 'agent-rrm-tiny'?"),
        (["runs", "list", "--log", "no-such-log"], "there is no run log no-such-log"),
        (["runs", "show", "abc"], "no run 'abc'"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(words: list[str], told: str) -> None:
    result = reagent(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert told in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "spec", ["local:agent-rrm-tiny", "local:agent-rrm-tiny?threads=2", "steps:local:agent-rrm-tiny"]
)
def test_the_shipped_judge_has_a_name_on_the_command_line(spec: str) -> None:
    assert judge_spec(spec) == spec


@pytest.mark.parametrize(
    "words",
    [
        ["ask", "q"],
        ["ask", "q", "--model", "local:missing/weights.gguf"],
        ["models", "path", "smollm2-135m-instruct"],
        ["doctor"],
    ],
)
def test_missing_weights_are_exit_code_3(words: list[str]) -> None:
    assert reagent(*words).exit_code == 3


def test_the_message_about_missing_weights_names_the_command_that_fetches_them() -> None:
    assert "reagent models pull smollm2-135m-instruct" in reagent("ask", "q").stderr


def test_an_unreachable_model_is_exit_code_3_and_keeps_quiet_on_stdout() -> None:
    with refused_url() as url:
        result = reagent("ask", "q", "--model", url, "--judge", url, "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines()[-1].startswith("error: ")


def test_a_failed_judge_leaves_the_draft_as_the_answer(reagent_home: Path) -> None:
    with ChatServer(["the draft"]) as server, refused_url() as dead:
        result = reagent("ask", "q", "--model", server.base_url, "--judge", dead)
    assert (result.exit_code, result.stdout) == (0, "the draft\n")
    assert "warning: the judge failed" in result.stderr
    assert next(RunLog(reagent_home / "runs.jsonl").read()).stop is StopReason.JUDGE_FAILED


def test_a_budget_that_allows_no_draft_is_exit_code_3() -> None:
    with ChatServer(["late"]) as server:
        result = reagent("ask", "q", "--model", server.base_url, "--judge", server.base_url, "--max-seconds", "1e-9")
    assert result.exit_code == 3
    assert "budget" in result.stderr


def test_ask_prints_the_answer_alone_on_stdout_and_logs_the_run(reagent_home: Path) -> None:
    with ChatServer(judge_or_agent()) as server:
        words = ["ask", "What is 6 * 7?", "--model", server.base_url, "--judge", server.base_url]
        result = reagent(*words, "--rounds", "0")
        quiet = reagent(*words, "--no-log")
    assert (result.exit_code, result.stdout) == (0, "42\n")
    assert "0.40" in result.stderr
    assert "Show the steps." in result.stderr
    assert quiet.exit_code == 0
    (run,) = RunLog(reagent_home / "runs.jsonl").read()
    assert (run.task.question, run.score, len(run.attempts)) == ("What is 6 * 7?", 0.4, 1)


def test_ask_with_tools_searches_a_corpus_and_reads_files(tmp_path: Path, reagent_home: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "keeper.txt").write_text("The last keeper was Marit Holm.")
    built = reagent("corpus", "build", str(tmp_path / "notes"), "--out", str(tmp_path / "notes.corpus"))
    assert built.exit_code == 0
    calls = [
        ToolCall.make("search", {"queries": ["last keeper"]}, id="1"),
        ToolCall.make("file_reader", {"path": "keeper.txt"}, id="2"),
    ]

    def script(body: dict[str, Any]) -> Reply:
        if "strict reviewer" in str(body["messages"][0]["content"]):
            return Reply(VERDICT.format(0.9))
        return Reply("Marit Holm") if body["messages"][-1]["role"] == "tool" else Reply(tool_calls=calls)

    with ChatServer(script) as server:
        words = ["ask", "Who was the last keeper?", "--model", server.base_url, "--judge", server.base_url]
        tools = ["--tools", "search, file_reader", "--corpus", str(tmp_path / "notes.corpus")]
        result = reagent(*words, *tools, "--root", str(tmp_path / "notes"), "--rounds", "0")
    assert (result.exit_code, result.stdout) == (0, "Marit Holm\n")
    assert "search" in result.stderr
    (run,) = RunLog(reagent_home / "runs.jsonl").read()
    results = [m.text for m in run.attempts[0].trajectory.messages if m.role == "tool"]
    assert all("Marit Holm" in text for text in results)
    assert len(results) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tools", "serch"], "there is no tool 'serch'; there are search, browse"),
        (["--tools", " , "], "--tools is empty"),
        (["--corpus", "x"], "--corpus needs the search tool"),
        (["--tools", "search", "--corpus", "/does/not/exist"], "there is no corpus file"),
        (["--tools", "file_reader", "--root", "/does/not/exist"], "is not a folder"),
    ],
)
def test_tools_that_cannot_be_had_say_why(words: list[str], says: str) -> None:
    result = reagent("ask", "q", *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "\n" not in result.stderr.strip()


def test_ask_abstains_below_the_floor(reagent_home: Path) -> None:
    with ChatServer(judge_or_agent(0.4)) as server:
        words = ["ask", "What is 6 * 7?", "--model", server.base_url, "--judge", server.base_url, "--rounds", "0"]
        fine = reagent(*words, "--floor", "0.4")
        low = reagent(*words, "--floor", "0.5")
        told = reagent(*words, "--floor", "0.5", "--json")
    assert (fine.exit_code, fine.stdout) == (0, "42\n")
    assert (low.exit_code, low.stdout) == (3, "")
    assert "error: abstained: the best attempt scored 0.40, below the floor of 0.50" in low.stderr
    assert (told.exit_code, json.loads(told.stdout)["status"]) == (3, "abstained")
    run = json.loads(told.stdout)["run"]
    assert "abstains below 0.50" in " ".join(reagent("runs", "show", run["id"]).stdout.split())


def test_ask_takes_its_question_from_stdin_and_the_judge_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(judge_or_agent()) as server:
        monkeypatch.setenv("REAGENT_JUDGE", server.base_url)
        result = reagent("ask", "-", "--model", server.base_url, "--accept", "0.3", "--json", stdin="6 * 7?\n")
    data = json.loads(result.stdout)
    assert (data["answer"], data["score"]) == ("42", 0.4)
    assert data["run"]["stop"] == "accepted"
    assert data["run"]["threshold"] == 0.3


def test_a_log_that_cannot_be_written_is_found_before_anything_is_paid_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with ChatServer(judge_or_agent()) as server:
        words = ["ask", "q", "--model", server.base_url, "--judge", server.base_url, "--log"]
        for path in (tmp_path, tmp_path / "file" / "log"):
            result = reagent(*words, str(path))
            assert result.exit_code == 2
            assert "cannot be written" in result.stderr
        assert server.requests == []


def test_runs_are_listed_latest_first_with_what_is_damaged_on_stderr(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    for question in ("one", "two", "three"):
        log.append(stored_run(question))
    with log.path.open("a") as file:
        file.write('{"torn')
    result = reagent("runs", "list", "--log", str(log.path), "--limit", "2", "--json")
    assert [json.loads(line)["question"] for line in result.stdout.splitlines()] == ["three", "two"]
    assert "1 damaged record was skipped" in result.stderr
    assert "line 4: torn" in result.stderr
    table = reagent("runs", "list", "--log", str(log.path)).stdout
    assert "three" in table
    assert "rounds" in table


def test_a_run_is_shown_whole_but_the_analysis_only_when_asked_for(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    log.append(run := stored_run(notes=("a note [bold]",)))
    words = ["runs", "show", run.id[:6], "--log", str(log.path)]
    shown = reagent(*words).stdout
    for part in (run.id, "q", "0.50", "Why.", "a note [bold]"):
        assert part in shown
    assert "inside" not in shown
    assert "inside" not in reagent(*words, "--json").stdout
    assert "inside" in reagent(*words, "--analysis").stdout
    assert Run.model_validate_json(reagent(*words, "--analysis", "--json").stdout) == run


def test_an_empty_log_is_no_error() -> None:
    result = reagent("runs", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there are no runs" in result.stderr


def test_models_are_listed_also_when_none_is_installed(reagent_home: Path) -> None:
    assert "smollm2-135m-instruct" in reagent("models", "list").stdout
    base, ours = map(json.loads, reagent("models", "list", "--json").stdout.splitlines())
    assert (base["name"], base["installed"]) == ("smollm2-135m-instruct", False)
    assert (ours["name"], ours["installed"]) == ("agent-rrm-tiny", True)
    assert reagent("models", "path", "agent-rrm-tiny").stdout == f"{ours['path']}\n"
    assert read_manifest(Path(ours["path"])) is not None
    own = reagent_home / "models" / "own"
    own.mkdir(parents=True)
    (own / "own.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    assert reagent("models", "path", "own").stdout == f"{own / 'own.gguf'}\n"
    assert json.loads(reagent("models", "remove", "own", "--json").stdout) == {"name": "own", "freed_bytes": 8}
    assert not own.exists()


def test_of_the_shipped_judge_the_base_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("reagent_sdk.models.pull", lambda name, report: asked.append(name) or Path("base.gguf"))
    result = reagent("models", "pull", "agent-rrm-tiny")
    assert (result.stdout, asked) == ("base.gguf\n", ["smollm2-135m-instruct"])
    assert result.stderr == "agent-rrm-tiny comes with the package; what it needs is smollm2-135m-instruct\n"


def test_doctor_asks_the_endpoint_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with ChatServer(judge_or_agent(), model="my-judge") as server:
        fine = reagent("doctor", "--judge", server.base_url, "--json")
        monkeypatch.setenv("REAGENT_JUDGE", server.base_url)
        named = reagent("doctor")
    assert fine.exit_code == 0
    checks = {check["name"]: check for check in json.loads(fine.stdout)["checks"]}
    assert "my-judge" in checks["judge endpoint"]["detail"]
    assert checks["model"]["status"] == "fail"  # no weights here, which is no matter of the judge
    assert "$REAGENT_JUDGE" in named.stdout
    with refused_url() as dead:
        result = reagent("doctor", "--judge", dead)
    assert result.exit_code == 3
    assert "start the server" in " ".join(result.stdout.split())
    assert "FAIL judge endpoint" in result.stdout


def test_doctor_never_shows_a_password() -> None:
    for spec in ("http://me:hunter2secret@127.0.0.1:1/v1", "http://me:hunter2secret@127.0.0.1:99999/v1"):
        result = reagent("doctor", "--judge", spec, "--model", spec)
        assert result.exit_code == 3
        assert "hunter2secret" not in result.output


def test_doctor_names_the_key_that_a_provider_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reagent_sdk.cli.probing.missing_keys", lambda model: ["OPENAI_API_KEY"])
    result = reagent("doctor", "--judge", "openai/gpt-5")
    assert result.exit_code == 3
    assert "export OPENAI_API_KEY=..." in result.stdout


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_reports_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path))
    assert "no permission to write" in " ".join(reagent("doctor").stdout.split())
