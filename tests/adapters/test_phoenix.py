"""A run's spans in a real Phoenix, which installs into an environment of its own (`make adapters`)."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reagent_sdk import CritiqueLoop, Policy, RunLog, Task
from reagent_sdk.exports import ExportSettings, Format, export_runs
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

PYTHON = Path(
    os.environ.get("REAGENT_PHOENIX_PYTHON")
    or Path(__file__).parents[2] / ".venv-adapters" / "phoenix" / "bin" / "python"
)
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="Phoenix is not set up; `make adapters` does it")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

PROGRAM = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from reagent_sdk import CritiqueLoop, Task
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=sys.argv[1] + "/v1/traces")))
trace.set_tracer_provider(provider)
judge = ScriptedJudge([(0.2, "Name the unit."), (0.9, "Good.")])
loop = CritiqueLoop(Task(question="How heavy is the crate?"), ScriptedAgent(["7", "7 kg"]), judge)
print(asyncio.run(loop.run()).id)
provider.shutdown()
"""


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Phoenix that has seen nothing yet."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        port, grpc = one.getsockname()[1], two.getsockname()[1]
    folder = tmp_path_factory.mktemp("phoenix")
    settings = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    log = (folder / "log").open("wb")
    command = [str(PYTHON), "-m", "phoenix.server.main", "serve"]
    server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        _until_up(server, f"http://127.0.0.1:{port}/healthz", folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _until_up(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


def _spans(url: str, count: int) -> list[dict[str, Any]]:
    end, found = time.monotonic() + 60, []
    while len(found) < count and time.monotonic() < end:
        reply = httpx.get(f"{url}/v1/projects/default/spans", params={"limit": 50}, trust_env=False)
        found = reply.json()["data"] if reply.status_code == 200 else []
        time.sleep(0.1)  # Phoenix takes spans in by batches
    return sorted(found, key=lambda one: str(one["start_time"]))


@pytest.mark.timeout(420)
def test_a_run_opens_as_a_trace_with_its_evaluations(phoenix: str) -> None:
    made = subprocess.run([sys.executable, "-c", PROGRAM, phoenix], capture_output=True, text=True, check=True)
    spans = _spans(phoenix, 5)
    assert [one["span_kind"] for one in spans] == ["CHAIN", "AGENT", "EVALUATOR", "AGENT", "EVALUATOR"]
    assert len({one["context"]["trace_id"] for one in spans}) == 1
    root = spans[0]
    assert root["attributes"]["reagent.run.id"] == made.stdout.strip()
    assert {one["parent_id"] for one in spans[1:]} == {root["context"]["span_id"]}
    events = [one["events"][0] for one in spans if one["span_kind"] == "EVALUATOR"]
    assert [one["name"] for one in events] == ["gen_ai.evaluation.result"] * 2
    assert [one["attributes"]["gen_ai.evaluation.score.value"] for one in events] == [0.2, 0.9]
    assert "crate" not in str(spans)


def _trace(url: str, run: str, count: int) -> list[dict[str, Any]]:
    """The spans of one run's trace."""
    end, found = time.monotonic() + 60, []
    while len(found) < count and time.monotonic() < end:
        spans = _spans(url, 1)
        ids = {one["context"]["trace_id"] for one in spans if one["attributes"].get("reagent.run.id") == run}
        found = [one for one in spans if one["context"]["trace_id"] in ids]
    return found


@pytest.mark.timeout(420)
def test_an_exported_log_opens_as_the_page_says(phoenix: str, tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    call = {"id": "1", "type": "function", "function": {"name": "weigh", "arguments": '{"item": "crate"}'}}
    work = [
        {"role": "assistant", "content": "I weigh it.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "7"},
        {"role": "assistant", "content": "7 kg"},
    ]
    agent, judge = ScriptedAgent([work]), ScriptedJudge([(0.9, "Good.")])
    run = asyncio.run(CritiqueLoop(Task(question="?"), agent, judge, policy=Policy(rounds=0), log=log).run())
    with (tmp_path / "traces.jsonl").open("wb") as out:
        export_runs(log.scan(), out, ExportSettings(format=Format.OTEL))
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (sending,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "as_protobuf" in code)
    program = sending.replace("http://127.0.0.1:6006", phoenix)
    assert program != sending
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, env={**os.environ, "NO_PROXY": "*"})
    spans = _trace(phoenix, run.id, 6)
    assert sorted(one["span_kind"] for one in spans) == ["AGENT", "CHAIN", "EVALUATOR", "LLM", "LLM", "TOOL"]
    named = {one["span_kind"]: one["attributes"] for one in spans}
    assert (named["TOOL"]["input.value"], named["TOOL"]["output.value"]) == ('{"item": "crate"}', "7")
    assert named["AGENT"]["output.value"] == "7 kg"
    (event,) = next(one["events"] for one in spans if one["span_kind"] == "EVALUATOR")
    assert event["attributes"]["gen_ai.evaluation.explanation"] == "Good."
