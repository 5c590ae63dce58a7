r"""The process that compares formulas: math-verify on hostile text, within limits that it cannot raise.

A line of JSON in, `{"golds": [...], "answer": ..., "seconds": ...}`; two lines out: that the references were read,
which says whose fault anything is that happens from there on, and the verdict. See `maths_process`.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from typing import IO, Any

from math_verify import LatexExtractionConfig, parse, verify

_LATEX = [LatexExtractionConfig(boxed_match_priority=0)]


def main(memory_mb: int) -> None:
    """Answers requests until standard input ends."""
    logging.disable(logging.CRITICAL)
    _limit_memory(memory_mb)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # libraries print; what they print must not end up in the answer
        _read("x")  # what is slow at the first use only
        _say(out, {"ready": True})
        for line in sys.stdin:
            request = json.loads(line)
            _limit_time(request["seconds"])
            golds = [_read(gold) for gold in request["golds"]]
            _say(out, {"golds": sum(bool(gold) for gold in golds)})
            _say(out, _verdict(golds, request["answer"]))


def _verdict(golds: list[list[Any]], answer: str) -> dict[str, Any]:
    try:
        said = _read(answer)
        return {"right": bool(said) and any(verify(gold, said, timeout_seconds=None) for gold in golds if gold)}
    except (MemoryError, RecursionError) as error:
        return {"right": False, "why": f"too large to compare: {type(error).__name__}"}


def _read(text: str) -> list[Any]:
    # In a box the whole text is one expression. Free text would be searched for one, and "3 or 5" would become 5.
    return list(parse(f"\\boxed{{{text}}}", _LATEX, "no_fallback", parsing_timeout=None))


def _limit_memory(memory_mb: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the clock of the parent is the only limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def _limit_time(seconds: int) -> None:
    """Processor time from here on. The kernel ends the process then, also inside a long computation in C."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, hard))


def _say(out: IO[str], line: dict[str, Any]) -> None:
    out.write(json.dumps(line) + "\n")
    out.flush()
