from __future__ import annotations

import asyncio
import io
import math
import sys
import wave
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from aiohttp import web
from reagent_benchmarks import file_samples

from reagent_sdk.errors import BudgetExceeded, InvalidInput, ModelUnavailable
from reagent_sdk.tools.base import Tool
from reagent_sdk.tools.files.process import FileLimits
from reagent_sdk.tools.files.roots import FileProblem
from reagent_sdk.tools.media import audio_decode
from reagent_sdk.tools.media.audio import AudioSettings, AudioTool
from reagent_sdk.tools.media.audio_endpoint import LiteLLMTranscriber

pytestmark = pytest.mark.anyio

PART: dict[str, Any] = {"members": [], "max_bytes": 1 << 28, "max_unpacked": 1 << 28}
PART |= {"start": 0.0, "end": None, "max_seconds": 600.0}
SPOKEN = file_samples.SPOKEN.read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "recordings"
    root.mkdir()
    (root / "spoken.mp3").write_bytes(SPOKEN)
    return root


def tone(seconds: float, *, rate: int = 16_000) -> bytes:
    step = 2 * math.pi * 440 / rate
    return array("h", (int(9000 * math.sin(step * index)) for index in range(int(seconds * rate)))).tobytes()


def encoded(samples: bytes, codec: str, container: str) -> bytes:
    made = io.BytesIO()
    with av.open(made, "w", format=container) as file:
        stream = file.add_stream(codec, rate=16_000, layout="mono")
        formats = stream.codec_context.codec.audio_formats
        assert formats is not None
        resampler = av.AudioResampler(format=formats[0].name, layout="mono", rate=16_000)
        for frame in _frames(samples):
            for part in resampler.resample(frame):
                file.mux(stream.encode(part))
        for part in resampler.resample(None):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return made.getvalue()


def _frames(samples: bytes) -> Iterator[av.AudioFrame]:
    for at in range(0, len(samples), 2048):
        piece = samples[at : at + 2048]
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(piece) // 2)
        frame.sample_rate = 16_000
        frame.pts = at // 2
        frame.planes[0].update(piece + bytes(frame.planes[0].buffer_size - len(piece)))
        yield frame


def decoded(data: bytes, **part: Any) -> tuple[dict[str, Any], bytes]:
    return audio_decode.decode(io.BytesIO(data), {**PART, **part})


def test_it_is_a_tool(folder: Path) -> None:
    tool = AudioTool(folder)
    assert isinstance(tool, Tool)
    assert tool.name == "audio2text"
    assert tool.parameters["required"] == ["audio"]
    assert set(tool.parameters["properties"]) == {"audio", "start", "end"}
    assert "recording" in tool.description


async def test_offline_speech_is_recognised_and_called_weak(folder: Path) -> None:
    result = await AudioTool(folder).call({"audio": "spoken.mp3"})
    assert result.error is None, result.text
    head, line = result.text.split("\n")
    assert head.startswith("[spoken.mp3; 00:00 to 00:02 of 00:02; recognised offline by a weak recogniser")
    assert line.startswith("[00:00-00:02] ")
    assert len({"one", "two", "three", "four", "five"} & set(line.split())) >= 3, line


@pytest.mark.parametrize(
    ("codec", "container"),
    [("pcm_s16le", "wav"), ("pcm_s24le", "wav"), ("flac", "flac"), ("mp3", "mp3"), ("aac", "ipod"), ("libopus", "ogg")],
)
def test_formats(codec: str, container: str) -> None:
    data = encoded(tone(2.0), codec, container)
    facts, samples = decoded(data)
    assert len(samples) / 32_000 == pytest.approx(2.0, abs=0.15)
    assert facts["duration"] == pytest.approx(2.0, abs=0.15)
    heard = array("h", samples)
    assert max(heard[8000:24000]) == pytest.approx(9000, rel=0.15)
    crossings = sum(a < 0 <= b for a, b in pairwise(heard[8000:24000]))
    assert crossings == pytest.approx(440, abs=5)


@pytest.mark.parametrize(
    ("codec", "container"), [("pcm_s16le", "wav"), ("mp3", "mp3"), ("aac", "ipod"), ("flac", "flac")]
)
def test_parts(codec: str, container: str) -> None:
    silence_then_tone = bytes(32_000 * 5) + tone(5.0)
    data = encoded(silence_then_tone, codec, container)
    facts, samples = decoded(data, start=4.0, end=6.0)
    heard = array("h", samples)
    assert facts["start"] == 4.0
    assert facts["end"] == pytest.approx(6.0, abs=0.1)
    assert max(heard[:12_000]) < 300
    assert max(heard[20_000:]) > 7000
    facts, samples = decoded(data, max_seconds=1.0)
    assert len(samples) <= 32_000
    with pytest.raises(FileProblem, match="ends at 10"):
        decoded(data, start=60.0)
    with pytest.raises(FileProblem, match="no part"):
        decoded(data, start=5.0, end=4.0)
    with pytest.raises(FileProblem, match="no part"):
        decoded(data, start=-1.0)


def test_resampling_and_many_channels() -> None:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        mono = array("h", tone(1.0, rate=44_100))
        file.writeframes(array("h", (value for pair in zip(mono, mono, strict=True) for value in pair)).tobytes())
    _, samples = decoded(made.getvalue())
    assert len(samples) / 32_000 == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_wav_works_without_the_decoder_package(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    values = array("h", tone(2.0, rate=8000))
    raw = {
        1: bytes((v >> 8) + 128 for v in values),
        2: values.tobytes(),
        4: array("i", (v << 16 for v in values)).tobytes(),
    }
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(raw[width])
    facts, samples = decoded(made.getvalue(), start=0.5)
    assert facts["duration"] == 2.0
    assert len(samples) == 48_000
    assert max(array("h", samples)) == pytest.approx(9000, rel=0.05)
    with pytest.raises(ModuleNotFoundError):
        decoded(SPOKEN)
    with pytest.raises(FileProblem, match="cannot be decoded"):
        decoded(made.getvalue()[:20])


async def test_long_recordings_come_in_chunks_with_times(folder: Path) -> None:
    (folder / "long.wav").write_bytes(file_samples.wav(bytes(2 * 16_000 * 75)))
    lengths: dict[float, int] = {}

    async def transcribe(recording: bytes) -> str:
        with wave.open(io.BytesIO(recording)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
            seconds = file.getnframes() / 16_000
        lengths[seconds] = lengths.get(seconds, 0) + 1
        return f" {seconds:g} seconds "

    tool = AudioTool(folder, transcribe)
    result = await tool.call({"audio": "long.wav"})
    assert result.text.split("\n") == [
        "[long.wav; 00:00 to 01:15 of 01:15]",
        "[00:00-00:30] 30 seconds",
        "[00:30-01:00] 30 seconds",
        "[01:00-01:15] 15 seconds",
    ]
    assert lengths == {30.0: 2, 15.0: 1}
    part = await tool.call({"audio": "long.wav", "start": 70, "end": 72})
    assert part.text == "[long.wav; 01:10 to 01:12 of 01:15]\n[01:10-01:12] 2 seconds"
    short = AudioTool(folder, transcribe, settings=AudioSettings(max_seconds=40))
    head = (await short.call({"audio": "long.wav"})).text.split("\n")[0]
    assert head == "[long.wav; 00:00 to 00:40 of 01:15; there is more: call again with start=40]"


async def test_offline_recognition_stops_when_its_time_is_up(folder: Path) -> None:
    (folder / "long.wav").write_bytes(file_samples.wav(bytes(2 * 16_000 * 75)))
    result = await AudioTool(folder, settings=AudioSettings(patience=0)).call({"audio": "long.wav"})
    assert "call again with start=30" in result.text.split("\n")[0]


@pytest.mark.parametrize("error", [ModelUnavailable("down"), BudgetExceeded("calls", "none left"), RuntimeError("odd")])
async def test_a_transcriber_that_fails(folder: Path, error: Exception) -> None:
    (folder / "long.wav").write_bytes(file_samples.wav(bytes(2 * 16_000 * 75)))

    async def transcribe(recording: bytes) -> str:
        raise error

    result = await AudioTool(folder, transcribe).call({"audio": "long.wav"})
    assert result.error == type(error).__name__
    assert str(error) in result.text


async def test_bad_recordings(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.mp3").write_bytes(SPOKEN)
    (folder / "text.mp3").write_text("not a recording")
    (folder / "playlist.wav").write_text(f"#EXTM3U\n#EXTINF:5,\n{(tmp_path / 'secret.mp3').as_uri()}\n")
    (folder / "concat.mp3").write_text(f"ffconcat version 1.0\nfile '{tmp_path / 'secret.mp3'}'\n")
    (folder / "empty.wav").write_bytes(file_samples.wav(b""))
    (folder / "head.wav").write_bytes(file_samples.wav(tone(1.0))[:16])
    (folder / "noise.flac").write_bytes(b"fLaC" + bytes(range(256)) * 20)
    (folder / "film.mp4").write_bytes(_silent_film())
    (folder / "link.mp3").symlink_to(tmp_path / "secret.mp3")
    cases = {
        "text.mp3": "Unsupported",
        "playlist.wav": "Unsupported",
        "concat.mp3": "Unsupported",
        "empty.wav": "NoSuchPart",
        "head.wav": "Damaged",
        "noise.flac": "Damaged",
        "film.mp4": "Unsupported",
        "missing.wav": "NotFound",
        "../secret.mp3": "PathRefused",
        "link.mp3": "PathRefused",
        "https://example.com/a.mp3": "NotFetched",
    }
    tool = AudioTool(folder)
    for audio, error in cases.items():
        result = await tool.call({"audio": audio})
        assert result.error == error, f"{audio}: {result.text}"
    small = AudioTool(folder, settings=AudioSettings(limits=FileLimits(max_bytes=100)))
    assert (await small.call({"audio": "spoken.mp3"})).error == "TooLarge"


def _silent_film() -> bytes:
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as file:
        stream = file.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        file.mux(stream.encode(None))
    return made.getvalue()


async def test_the_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "av.py").write_text("raise ModuleNotFoundError('no av', name='av')\n")
    monkeypatch.syspath_prepend(modules)
    result = await AudioTool(folder).call({"audio": "spoken.mp3"})
    assert result.error == "MissingExtra"
    assert "pip install 'reagent-sdk[speech]'" in result.text


class _Endpoint:
    """A transcription endpoint on this machine."""

    def __init__(self, answers: list[tuple[int, Any]]) -> None:
        self._answers = answers
        self.requests: list[tuple[dict[str, str], bytes, str]] = []

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        self.requests.append((fields, upload.file.read(), request.headers.get("Authorization", "")))
        status, body = self._answers[min(len(self.requests), len(self._answers)) - 1]
        return web.json_response(body, status=status)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v1/audio/transcriptions", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()


async def test_a_transcription_endpoint(folder: Path) -> None:
    endpoint = _Endpoint([(200, {"text": "one two three", "duration": 2.4})])
    async with endpoint.serve() as base:
        model = LiteLLMTranscriber("openai/whisper-1", api_key="sk-test-123456789", api_base=base)
        result = await AudioTool(folder, model).call({"audio": "spoken.mp3"})
    assert result.text == "[spoken.mp3; 00:00 to 00:02 of 00:02]\n[00:00-00:02] one two three"
    fields, recording, authorization = endpoint.requests[0]
    assert fields["model"] == "whisper-1"
    assert authorization == "Bearer sk-test-123456789"
    with wave.open(io.BytesIO(recording)) as file:
        assert file.getnframes() / 16_000 == pytest.approx(2.4, abs=0.1)


async def test_an_endpoint_that_refuses_and_one_that_recovers(folder: Path) -> None:
    refusing = _Endpoint([(401, {"error": {"message": "bad key sk-test-123456789"}})])
    async with refusing.serve() as base:
        model = LiteLLMTranscriber("openai/whisper-1", api_key="sk-test-123456789", api_base=base)
        result = await AudioTool(folder, model).call({"audio": "spoken.mp3"})
    assert result.error == "ModelRejected"
    assert "sk-test-123456789" not in result.text + repr(model)
    flaky = _Endpoint([(503, {"error": {"message": "busy"}}), (200, {"text": "at last"})])
    async with flaky.serve() as base:
        model = LiteLLMTranscriber("openai/whisper-1", api_key="k", api_base=base)
        model.retry = type(model.retry)(attempts=2, base=0.0, sleep=lambda seconds: asyncio.sleep(0))
        result = await AudioTool(folder, model).call({"audio": "spoken.mp3"})
    assert "at last" in result.text


def test_a_model_needs_a_name(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        AudioTool(folder, " ")
