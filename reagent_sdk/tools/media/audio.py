"""`audio2text`: what is said in a recording, with times; by a transcription endpoint or, offline, a weak recogniser."""

from __future__ import annotations

import io
import json
import os
import tempfile
import wave
from collections.abc import Awaitable, Callable, Sequence

import anyio
from pydantic import Field

from reagent_sdk.errors import ModelError
from reagent_sdk.frozen import Settings
from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.define import MethodTool
from reagent_sdk.tools.files.media import needs, opened_media
from reagent_sdk.tools.files.process import FileLimits, Reply, run_worker
from reagent_sdk.tools.files.roots import FileProblem, Roots
from reagent_sdk.tools.media.audio_decode import DECODE, RATE
from reagent_sdk.tools.media.audio_endpoint import LiteLLMTranscriber
from reagent_sdk.tools.media.audio_recognise import CHUNK_SECONDS, RECOGNISE

Transcriber = Callable[[bytes], Awaitable[str]]
"""What is said in a wav file of at most 30 seconds."""

_AT_ONCE = 4
_CHUNK = 2 * RATE * CHUNK_SECONDS
_WEAK = "recognised offline by a weak recogniser: expect wrong words, above all in names and numbers"


class AudioSettings(Settings):
    """How recordings are read."""

    max_seconds: float = Field(600.0, ge=1, le=3600, description="longest part that one call transcribes")
    patience: float = Field(100.0, ge=0, description="seconds after which the offline recogniser begins no new chunk")
    limits: FileLimits = FileLimits(max_bytes=256 << 20, max_output=128 << 20, seconds=180)


class AudioTool(MethodTool):
    """A tool that transcribes recordings: wav, mp3, flac, m4a, ogg, aac and the sound of films.

    Args:
        roots: folders whose files may be read.
        model: a litellm name such as "openai/whisper-1", or any async function from wav bytes to text. Without one the
            recogniser of the `speech` extra is used.
        settings: lengths and limits.

    Raises:
        InvalidInput: a root is not a folder.

    Example:
        hear = AudioTool("calls", "openai/whisper-1")
        result = await hear.call({"audio": "monday.mp3", "start": 60, "end": 90})
    """

    name = "audio2text"

    def __init__(
        self,
        roots: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        model: str | Transcriber | None = None,
        *,
        settings: AudioSettings | None = None,
    ) -> None:
        self._roots = Roots(roots)
        self._transcribe = LiteLLMTranscriber(model) if isinstance(model, str) else model
        self._settings = settings or AudioSettings()

    async def _run(self, audio: str, start: float = 0.0, end: float | None = None) -> ToolResult:
        """Write down what is said in a recording, with the time of each part.

        Args:
            audio: Path of the recording, relative to the folder of files. Web addresses are not fetched.
            start: Second at which to begin.
            end: Second at which to stop; by default the end of the recording.
        """
        limits = self._settings.limits
        try:
            async with opened_media(self._roots, audio, limits) as media:
                part = {"start": start, "end": end, "max_seconds": self._settings.max_seconds}
                decoded = await media.process(DECODE, **part)
                shown = media.shown
            texts = await (
                self._recognise(decoded) if self._transcribe is None else self._send(self._transcribe, decoded)
            )
        except FileProblem as problem:
            known = needs(problem, "audio2text", "speech")
            return ToolResult.failed(known.kind, str(known))
        except ModelError as error:
            return ToolResult.failed(error)
        return ToolResult(text="\n".join((self._head(shown, decoded, end, len(texts)), *_lines(texts, decoded))))

    async def _recognise(self, decoded: Reply) -> list[str]:
        limits = self._settings.limits
        with tempfile.TemporaryFile() as source:
            source.write(decoded.content)
            source.flush()
            heard = await run_worker(RECOGNISE, source, limits, patience=self._settings.patience)
        texts: list[str] = json.loads(heard.content)
        return texts

    async def _send(self, transcribe: Transcriber, decoded: Reply) -> list[str]:
        chunks = [decoded.content[at : at + _CHUNK] for at in range(0, len(decoded.content), _CHUNK)]
        texts = [""] * len(chunks)
        slots = anyio.CapacityLimiter(_AT_ONCE)
        failed: list[Exception] = []

        async def one(index: int) -> None:
            async with slots:
                if failed:
                    return
                try:
                    texts[index] = (await transcribe(_wav(chunks[index]))).strip()
                except Exception as error:  # raised below, on its own instead of in a group
                    failed.append(error)

        async with anyio.create_task_group() as tasks:
            for index in range(len(chunks)):
                tasks.start_soon(one, index)
        if failed:
            raise failed[0]
        return texts

    def _head(self, shown: str, decoded: Reply, wanted: float | None, done: int) -> str:
        facts = decoded.facts
        stop = min(facts["end"], facts["start"] + done * CHUNK_SECONDS)
        whole = facts["duration"] if facts["duration"] is not None else facts["end"]
        parts = [shown, f"{_clock(facts['start'])} to {_clock(stop)} of {_clock(whole)}"]
        if self._transcribe is None:
            parts.append(_WEAK)
        if stop < min(whole, whole if wanted is None else wanted) - 1:
            parts.append(f"there is more: call again with start={stop:.0f}")
        return f"[{'; '.join(parts)}]"


def _lines(texts: Sequence[str], decoded: Reply) -> list[str]:
    lines = []
    for index, text in enumerate(texts):
        begins = decoded.facts["start"] + index * CHUNK_SECONDS
        ends = min(begins + CHUNK_SECONDS, decoded.facts["end"])
        lines.append(f"[{_clock(begins)}-{_clock(ends)}] {text or '(no speech recognised)'}")
    return lines


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def _wav(samples: bytes) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return made.getvalue()
