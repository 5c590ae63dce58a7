"""Speech to text with models that ship in their package. Runs in the reading process only, see `files_process`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import IO, Any

from reagent_sdk.tools.media.audio_decode import RATE

RECOGNISE = "reagent_sdk.tools.media.audio_recognise:recognise"

CHUNK_SECONDS = 30


def recognise(stream: IO[bytes], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Texts of the chunks of raw samples, as many as are done within `patience` seconds."""
    from pocketsphinx import Decoder  # type: ignore[import-untyped]

    decoder = Decoder(samprate=RATE, loglevel="FATAL")
    deadline = time.monotonic() + arguments["patience"]
    texts: list[str] = []
    while samples := stream.read(2 * RATE * CHUNK_SECONDS):
        if texts and time.monotonic() > deadline:
            break
        decoder.start_utt()
        decoder.process_raw(samples, full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp()
        texts.append(heard.hypstr if heard else "")
    return {}, json.dumps(texts).encode()
