"""The parts of the judge server that need no server to be tried."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from reagent_sdk.errors import InvalidInput
from reagent_sdk.models.manifest import Manifest, write_manifest
from reagent_sdk.serving.account import Account
from reagent_sdk.serving.card import card_of
from reagent_sdk.serving.choose import Wish, choose
from reagent_sdk.serving.gpu import has_gpu
from reagent_sdk.serving.keys import Keys
from reagent_sdk.serving.local_hosts import is_loopback
from reagent_sdk.serving.log import EventLog
from reagent_sdk.serving.metrics import Metrics
from reagent_sdk.serving.restarts import Restarts
from reagent_sdk.serving.usage_watch import StreamUsage, usage_of
from reagent_sdk.serving.vllm import Weights
from reagent_sdk.usage import Usage

# --- keys ---


@given(st.text(st.characters(codec="ascii", exclude_categories=("C", "Z")), min_size=1), st.binary(max_size=40))
def test_only_the_key_itself_opens(key: str, other: bytes) -> None:
    keys = Keys([key])
    assert keys.open_for(b"Bearer " + key.encode())
    assert keys.open_for(b"bearer  " + key.encode())
    assert not keys.open_for(b"Basic " + key.encode())
    assert not keys.open_for(key.encode())
    assert keys.open_for(b"Bearer " + other) is (other.strip() == key.encode())


def test_a_file_holds_several_keys_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# old one goes in March\nold-key\n\n  new-key\r\n")
    keys = Keys.from_file(file)
    opened = [
        key for key in ("old-key", "new-key", "# old one goes in March", "") if keys.open_for(f"Bearer {key}".encode())
    ]
    assert opened == ["old-key", "new-key"]
    assert "old-key" not in repr(vars(keys))


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"two words\n", "schlüssel\n".encode(), b"\xff\xfe\n"])
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(InvalidInput, match="key"):
        Keys.from_file(tmp_path / "keys")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "localhost.evil.example", "127.0.0.1.nip.io", "", "[]"])  # noqa: S104
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


# --- restarts ---


def test_waits_double_and_deaths_are_forgotten_after_the_window() -> None:
    now = 0.0
    restarts = Restarts(limit=4, window=100, base=1, cap=5, clock=lambda: now)
    assert [restarts.wait() for _ in range(5)] == [1, 2, 4, 5, None]
    now = 101.0
    assert restarts.wait() == 1


# --- tokens ---


def event(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


STREAM = (
    event(choices=[{"delta": {"content": 'he said "usage": \u20ac'}}], usage=None)
    + event(
        choices=[], usage={"prompt_tokens": 30, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}}
    )
    + b': a comment about "usage"\r\n\r\ndata: [DONE]\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_usage_of_a_stream_is_found_however_it_is_cut(cuts: list[int]) -> None:
    watch = StreamUsage()
    edges = [0, *sorted(cuts), len(STREAM)]
    for begin, end in itertools.pairwise(edges):
        watch.feed(STREAM[begin:end])
    assert watch.usage == usage_of(b'{"usage": {"prompt_tokens": 30, "completion_tokens": 5, '
                                   b'"prompt_tokens_details": {"cached_tokens": 9}}}')  # fmt: skip
    assert watch.usage is not None
    assert (watch.usage.prompt_tokens, watch.usage.completion_tokens, watch.usage.cached_tokens) == (30, 5, 9)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_a_stream_of_anything_is_survived(pieces: list[bytes]) -> None:
    watch = StreamUsage()
    for piece in pieces:
        watch.feed(piece)


def test_an_endless_line_is_not_kept_and_the_next_one_is_read() -> None:
    watch = StreamUsage()
    for _ in range(100):
        watch.feed(b'data: "usage"' + b"x" * 2**14)
    assert len(watch._line) <= 2**16
    watch.feed(b"\n" + event(usage={"prompt_tokens": 1, "completion_tokens": 2}))
    assert watch.usage is not None
    assert watch.usage.completion_tokens == 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"usage": {}}', b'{"usage": {"prompt_tokens": -1}}', b"[" * 99_999]
)
def test_no_usage_is_none_and_not_zero(body: bytes) -> None:
    assert usage_of(body) is None


# --- metrics and log ---


def page_of(metrics: Metrics, backend: bytes = b"") -> dict[str, float]:
    families = text_string_to_metric_families(metrics.page(backend).decode())
    return {sample.name: sample.value for family in families for sample in family.samples}


@pytest.mark.parametrize(
    "page",
    [
        b"vllm:running 1.0",
        b"# HELP vllm:running Now.\n# TYPE vllm:running gauge\nvllm:running{a=\"b\"} 1.0\n",
    ],
)  # fmt: skip
def test_a_readable_page_of_the_backend_is_appended(page: bytes) -> None:
    assert page_of(Metrics(), page)["vllm:running"] == 1.0


@pytest.mark.parametrize(
    "page", [b"<html>no</html>", b"\xff", b"one two three\n", b"reagent_serve_draining 1\n", b'x{y="z 1\n', b""]
)
def test_any_other_page_is_left_out(page: bytes) -> None:
    metrics = Metrics()
    assert metrics.page(page) == metrics.page()


def test_a_request_without_usage_counts_no_tokens() -> None:
    metrics = Metrics()
    metrics.count(Account("POST", "/v1/chat/completions", "id", status=200, seconds=0.2))
    metrics.count(Account("POST", "/v1/chat/completions", "id", status=200, usage=Usage(calls=1, prompt_tokens=7)))
    page = page_of(metrics)
    assert page["reagent_serve_requests_total"] == 2
    assert page["reagent_serve_request_seconds_sum"] == pytest.approx(0.2)
    tokens = [family for family in metrics.registry.collect() if family.name == "reagent_serve_tokens"]
    counted = {s.labels["kind"]: s.value for s in tokens[0].samples if s.name.endswith("_total")}
    assert counted == {"prompt": 7, "completion": 0, "cached": 0}


@given(st.text())
def test_an_event_is_one_line_whatever_it_tells(told: str) -> None:
    stream = io.StringIO()
    EventLog(stream).write("event", told=told, none=None, ms=1.25)
    written = stream.getvalue()
    assert len(written.splitlines()) == 1
    assert written.endswith("ms=1.2\n")
    assert "none" not in written.replace(told, "")


# --- what serves what ---


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def fake_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    command = folder / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("script", "found"),
    [("echo 'GPU 0: NVIDIA H100 (UUID: x)'", True), ("echo 'No devices found.'", False), ("exit 9", False)],
)
def test_nvidia_smi_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: bool) -> None:
    fake_smi(tmp_path, monkeypatch, script)
    assert has_gpu(tmp_path) is found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not has_gpu(tmp_path)


@pytest.mark.parametrize(("device", "found"), [("nvidia0", True), ("kfd", True), ("nvidiactl", False), ("sda", False)])
def test_device_files_decide_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, found: bool
) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / device).touch()
    assert has_gpu(tmp_path) is found


def test_with_a_gpu_hugging_face_weights_go_to_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_smi(tmp_path, monkeypatch, "echo 'GPU 0: x'")
    with pytest.raises(InvalidInput, match="vLLM is not installed here"):  # so far it came
        choose(Wish(spec="hf:org/judge"), EventLog(io.StringIO()))


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("role", ["agent", None])
def test_only_judges_are_served(tmp_path: Path, role: Any) -> None:
    if role is None:
        write_manifest(tmp_path, Manifest(name="x", role="judge", prompt_version="rrm-99"))
    else:
        write_manifest(tmp_path, Manifest(name="x", role=role))
    with pytest.raises(InvalidInput, match="not a judge" if role else "rrm-99"):
        card_of(tmp_path)


@pytest.mark.parametrize(("rank", "built_for"), [(1, 8), (8, 8), (9, 16), (512, 512)])
def test_the_rank_that_vllm_is_built_for(tmp_path: Path, rank: int, built_for: int) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": rank, "base_model_name_or_path": "b"}))
    weights = Weights.of("org/base", {"judge": tmp_path})
    assert (weights.rank, weights.judge, weights.name) == (built_for, "judge", "org/base")


def test_a_rank_beyond_all_and_a_taken_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 1024}))
    with pytest.raises(InvalidInput, match="rank 1024"):
        _ = Weights.of("org/base", {"judge": tmp_path}).rank
    with pytest.raises(InvalidInput, match="cannot be called 'org/base'"):
        Weights.of("org/base", {"org/base": tmp_path})
