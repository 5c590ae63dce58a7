"""`reagent mcp`, asked by the official client: in memory, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_adapters.versions import UnsupportedVersion, require

from reagent_sdk.errors import MissingExtra

try:
    require("mcp", "mcp")
except (MissingExtra, UnsupportedVersion) as error:
    pytest.skip(str(error), allow_module_level=True)
from mcp import Client, MCPError, StdioServerParameters
from reagent_adapters.mcp.server import make_server
from reagent_adapters.mcp.tools import read_trajectory

from reagent_sdk import InvalidInput, Policy, with_critique
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge
from reagent_sdk.testing.server import ChatServer, Fault, refused_url
from reagent_sdk.verdict import Verdict, VerdictStatus

CALL = {"id": "c1", "type": "function", "function": {"name": "weigh", "arguments": '{"item": "crate"}'}}
WORK: list[dict[str, Any]] = [
    {"role": "user", "content": "Hello."},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": "How heavy is the crate?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "7 kg"},
    {"role": "assistant", "content": "It weighs 7 kg."},
]
VERDICT = "<analysis>\nfor me alone\n</analysis>\n<critique>\nSay how you know.\n</critique>\n<score>0.5</score>"


def called(server: Any, tool: str, arguments: dict[str, Any], **options: Any) -> Any:
    async def call() -> Any:
        async with Client(server) as client:
            return await client.call_tool(tool, arguments, **options)

    return asyncio.run(call())


def test_critique_gives_the_verdict_and_never_the_analysis() -> None:
    judge = ScriptedJudge([Verdict.of(0.25, "Check the scales.", analysis="for me alone")])
    result = called(make_server(judge, None), "critique", {"trajectory": WORK})
    assert result.structured_content == {
        "status": "scored",
        "score": 0.25,
        "critique": "Check the scales.",
        "reason": "",
        "judge": "scripted",
        "caveat": "",
    }
    assert "for me alone" not in str(result)
    task, trajectory = judge.seen[0]
    assert (task.question, [m.text for m in task.history]) == ("How heavy is the crate?", ["Hello.", "Hi."])
    assert (trajectory.answer, [m.role for m in trajectory.messages]) == (
        "It weighs 7 kg.",
        ["assistant", "tool", "assistant"],
    )
    assert trajectory.messages[0].tool_calls


def test_a_judge_that_fails_says_so_and_gives_no_number() -> None:
    judge = ScriptedJudge([VerdictStatus.UNPARSEABLE, RuntimeError("down")])
    server = make_server(judge, None)
    first = called(server, "critique", {"trajectory": "7 kg", "question": "How heavy?"}).structured_content
    second = called(server, "critique", {"trajectory": "7 kg", "question": "How heavy?"}).structured_content
    assert (first["status"], first["score"]) == ("unparseable", None)
    assert (second["status"], second["score"], second["reason"]) == ("unavailable", None, "RuntimeError: down")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"trajectory": "7 kg"}, "needs its question"),
        ({"trajectory": []}, "no user message is followed by work"),
        ({"trajectory": [{"content": "no role"}]}, "message 0 is not a chat message"),
        ({"trajectory": WORK[:1]}, "no user message is followed by work"),
        ({"trajectory": WORK[:1], "question": "What?"}, "has no answer"),
    ],
)
def test_what_cannot_be_judged_is_an_error_that_names_the_fix(arguments: dict[str, Any], told: str) -> None:
    result = called(make_server(ScriptedJudge([0.5]), None), "critique", arguments)
    assert result.is_error
    assert told in result.content[0].text


@given(st.lists(st.sampled_from(["user", "assistant", "tool"]), max_size=8), st.booleans())
def test_a_conversation_is_split_without_loss(roles: list[str], asked: bool) -> None:
    messages = [{"role": role, "content": f"text {index}"} for index, role in enumerate(roles)]
    try:
        task, trajectory = read_trajectory(messages, "What?" if asked else None)
    except InvalidInput:
        worked = [i for i, role in enumerate(roles) if role in ("assistant", "tool")]
        assert "assistant" not in roles or not asked
        assert (
            asked
            or not any(r == "user" and worked and i < worked[-1] for i, r in enumerate(roles))
            or ("assistant" not in roles[max(i for i, r in enumerate(roles) if r == "user" and i < worked[-1]) :])
        )
        return
    told = [m.text for m in task.history] + ([] if asked else [task.question]) + [m.text for m in trajectory.messages]
    assert told == [message["content"] for message in messages]


def test_solve_reports_progress_and_returns_the_better_attempt() -> None:
    judge = ScriptedJudge([(0.7, "Unit?"), (0.2, "Worse.")])
    agent = with_critique(ScriptedAgent(["7 kg", "seven"]), judge=judge)
    steps: list[tuple[float, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        steps.append((done, message))

    result = called(
        make_server(judge, agent), "solve_with_critique", {"question": "How heavy?"}, progress_callback=progress
    )
    told = result.structured_content
    assert (told["answer"], told["score"], told["status"]) == ("7 kg", 0.7, "answered")
    assert [(one["score"], one["critique"]) for one in told["attempts"]] == [(0.7, "Unit?"), (0.2, "Worse.")]
    assert told["why"].startswith("Returned attempt 1 of 2")
    assert [message for _, message in steps] == [
        "attempt 1 is being judged",
        "attempt 1: score 0.70",
        "attempt 2 is being judged",
        "attempt 2: score 0.20",
    ]
    agent.close()


def test_an_agent_that_fails_is_an_error_and_the_server_lives_on() -> None:
    judge = ScriptedJudge([0.5])
    with refused_url() as nobody, with_critique(nobody, judge=judge) as agent:
        server = make_server(judge, agent)
        failed = called(server, "solve_with_critique", {"question": "How heavy?"})
        assert failed.is_error
        assert not called(server, "critique", {"trajectory": WORK}).is_error


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "reagent_sdk", "mcp", *words]


def environment(**changes: str) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("REAGENT_")}, **changes}


async def over_stdio(*words: str, ask: Callable[[Client], Coroutine[Any, Any, Any]]) -> Any:
    program, *arguments = command(*words)
    async with Client(StdioServerParameters(command=program, args=arguments, env=environment())) as client:
        return await ask(client)


def test_over_stdio_both_tools_work_against_real_servers(tmp_path: Path) -> None:
    async def both(client: Client) -> tuple[list[str], Any, Any]:
        names = [tool.name for tool in (await client.list_tools()).tools]
        verdict = await client.call_tool("critique", {"trajectory": WORK})
        solved = await client.call_tool("solve_with_critique", {"question": "How heavy is the crate?"})
        return names, verdict.structured_content, solved.structured_content

    log = tmp_path / "runs.jsonl"
    with ChatServer([VERDICT]) as judge, ChatServer(["7 kg", "It weighs 7 kg."]) as model:
        words = ("--judge", judge.base_url, "--model", model.base_url, "--log", str(log))
        names, verdict, solved = asyncio.run(over_stdio(*words, ask=both))
        assert names == ["critique", "solve_with_critique"]
        assert (verdict["score"], verdict["critique"]) == (0.5, "Say how you know.")
        assert "for me alone" not in json.dumps([verdict, solved])
        assert (solved["answer"], solved["score"], len(solved["attempts"])) == ("7 kg", 0.5, 2)
        assert "Say how you know." in str(model.requests[1].body)
    assert json.loads(log.read_text())["chosen"] == 0


def test_without_solve_there_is_one_tool_and_a_dead_judge_is_a_status() -> None:
    async def one(client: Client) -> tuple[list[str], Any]:
        names = [tool.name for tool in (await client.list_tools()).tools]
        return names, (await client.call_tool("critique", {"trajectory": WORK})).structured_content

    with ChatServer([Fault.status(400)]) as judge:
        names, verdict = asyncio.run(over_stdio("--judge", judge.base_url, "--no-solve", ask=one))
    assert names == ["critique"]
    assert (verdict["status"], verdict["score"]) == ("unavailable", None)


@contextmanager
def http_server(*words: str, **changes: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        command("--transport", "http", "--port", "0", "--json", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**changes),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield json.loads(line)["url"], process
    finally:
        process.kill()
        process.communicate()


def test_over_http_a_key_opens_it_and_sigterm_ends_it() -> None:
    async def ask(url: str) -> Any:
        async with Client(url) as client:
            return (await client.call_tool("critique", {"trajectory": WORK})).structured_content

    with ChatServer([VERDICT]) as judge:
        with http_server("--judge", judge.base_url) as (url, process):
            assert asyncio.run(ask(url))["score"] == 0.5
            assert httpx.get(url.replace("/mcp", "/health"), trust_env=False).json() == {"status": "ok"}
            strange = httpx.post(url, headers={"Host": "evil.example"}, json={}, trust_env=False)
            assert strange.status_code in (403, 421)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors
        key = "mcp-door-key-0123456789"
        with http_server("--judge", judge.base_url, "--api-key-env", "DOOR", DOOR=key) as (url, _):
            assert httpx.post(url, json={}, trust_env=False).status_code == 401
            assert httpx.get(url.replace("/mcp", "/health"), trust_env=False).status_code == 200
            body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
            told = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream"}
            assert httpx.post(url, json=body, headers=told, trust_env=False).status_code != 401
            with pytest.raises((MCPError, ExceptionGroup, httpx.HTTPError)):
                asyncio.run(ask(url))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--transport", "http", "--host", "192.0.2.1"), "192.0.2.1 is reached from other machines"),
        (("--judge", "nonsense"), "unknown judge"),
        (("--model", "nonsense"), "does not name a model"),
        (("--rounds", "-1"), "rounds"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(words: tuple[str, ...], told: str) -> None:
    done = subprocess.run(command(*words), capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.real_model
def test_a_real_model_and_a_real_judge_over_stdio() -> None:
    async def solve(client: Client) -> Any:
        return (await client.call_tool("solve_with_critique", {"question": "What is 2 + 2?"})).structured_content

    solved = asyncio.run(over_stdio("--rounds", "0", "--max-seconds", "200", ask=solve))
    assert solved["answer"].strip()
    assert solved["attempts"][0]["status"] == "scored"
    assert any("agent-rrm-tiny" in note for note in solved["notes"])


def test_policy_rules_reach_the_run() -> None:
    judge = ScriptedJudge([0.9])
    agent = with_critique(ScriptedAgent(["a", "b"]), judge=judge, policy=Policy(rounds=3, accept=0.8))
    told = called(make_server(judge, agent), "solve_with_critique", {"question": "q"}).structured_content
    assert (told["status"], len(told["attempts"])) == ("accepted", 1)
    agent.close()
