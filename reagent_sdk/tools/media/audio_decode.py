"""Recordings to samples: 16-bit, 16 kHz, one channel. Runs in the reading process only, see `files_process`.

The format is taken from the first bytes and given to the decoder. Left to guess, FFmpeg would also take a playlist for
a recording, and open the files and addresses in it.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import IO, Any

from reagent_sdk.tools.files.media import media_bytes
from reagent_sdk.tools.files.roots import FileProblem

DECODE = "reagent_sdk.tools.media.audio_decode:decode"

RATE = 16_000
_BYTES_A_SECOND = 2 * RATE
_MARKS = {
    0: {b"ID3": "mp3", b"\xff\xfb": "mp3", b"\xff\xf3": "mp3", b"\xff\xf2": "mp3", b"fLaC": "flac", b"OggS": "ogg"}
    | {b"\xff\xf1": "aac", b"\xff\xf9": "aac", b"\x1a\x45\xdf\xa3": "matroska"},
    4: {b"ftyp": "mov"},
    8: {b"WAVE": "wav"},
}


def decode(stream: IO[bytes], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The samples between `start` and `end` seconds, at most `max_seconds` of them.

    The facts are `start` and `end` as they became, and `duration` in seconds, or None where the file does not tell.
    """
    data = media_bytes(stream, arguments)
    start, end, most = arguments["start"], arguments["end"], arguments["max_seconds"]
    if start < 0 or (end is not None and end <= start):
        raise FileProblem("InvalidArguments", f"start={start:g} and end={end} name no part of a recording")
    wanted = most if end is None else min(most, end - start)
    duration, samples = _samples(data, start, wanted)
    if duration is not None and start >= duration:
        raise FileProblem("NoSuchPart", f"the recording ends at {duration:.1f} seconds, before start={start:g}")
    if not samples:
        raise FileProblem("NoSuchPart", "there is no sound in this part of the file")
    stop = start + len(samples) / _BYTES_A_SECOND
    return {"start": start, "end": stop, "duration": duration}, samples


def _samples(data: bytes, start: float, seconds: float) -> tuple[float | None, bytes]:
    kind = next(
        (name for at, marks in _MARKS.items() for mark, name in marks.items() if data[at:].startswith(mark)), ""
    )
    if not kind:
        raise FileProblem("Unsupported", "this is no recording of a known kind (wav, mp3, flac, m4a, ogg, aac, webm)")
    try:
        import av
    except ModuleNotFoundError:
        if kind == "wav":
            return _plain_wav(data, start, seconds)
        raise
    try:
        with av.open(io.BytesIO(data), "r", format=kind) as container:
            if not container.streams.audio:
                raise FileProblem("Unsupported", "the file holds no sound")
            duration = container.duration / 1e6 if container.duration else None
            if start:
                container.seek(int(start * 1e6))
            return duration, _collect(_resampled(container, start, start + seconds), seconds)
    except (av.FFmpegError, EOFError) as error:
        raise FileProblem("Damaged", f"the recording cannot be decoded: {error}") from None


def _resampled(container: Any, start: float, end: float) -> Iterator[bytes]:
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    for frame in container.decode(audio=0):
        at = frame.time or 0.0
        if at + frame.samples / frame.sample_rate <= start:
            continue
        if at >= end:
            break
        for part in resampler.resample(frame):
            yield part.to_ndarray().tobytes()
    for part in resampler.resample(None):
        yield part.to_ndarray().tobytes()


def _collect(parts: Iterator[bytes], seconds: float) -> bytes:
    most = int(seconds * RATE) * 2
    samples = bytearray()
    for part in parts:
        samples += part
        if len(samples) >= most:
            break
    return bytes(samples[:most])


def _plain_wav(data: bytes, start: float, seconds: float) -> tuple[float, bytes]:
    """With the standard library and numpy: uncompressed samples of 1, 2 or 4 bytes."""
    import numpy as np

    try:
        with closing(wave.open(io.BytesIO(data))) as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            duration = file.getnframes() / rate
            file.setpos(min(int(start * rate), file.getnframes()))
            raw = file.readframes(int(seconds * rate))
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise FileProblem("Damaged", f"the recording cannot be decoded: {error}") from None
    if width not in {1, 2, 4}:
        raise FileProblem("Unsupported", f"samples of {8 * width} bits need the package av")
    stored = np.frombuffer(raw, dtype={1: "u1", 2: "<i2", 4: "<i4"}[width]).astype(float)
    loudest = 2.0 ** (8 * width - 1)
    sound = (stored - loudest if width == 1 else stored).reshape(-1, channels).mean(axis=1) / loudest
    if not len(sound):
        return duration, b""
    times = np.arange(int(len(sound) * RATE / rate)) * (rate / RATE)
    return duration, (np.interp(times, np.arange(len(sound)), sound) * 32767).astype("<i2").tobytes()
