"""Where the embedded engine rounds: `python -m reagent_benchmarks.engine_rounding --data DIR`.

The log-probabilities of a score's first decimal after one and the same text, compared with those of transformers in
float32: for the packed file and for its numbers as float32, with the keys and values of attention kept as float16 or
float32, and with the engine's flash attention, which rounds them to float16 itself, or without.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reagent_benchmarks.engine_findings import SO_FAR, Findings
from reagent_benchmarks.engine_probes import LlamaCppProbe, Probe, TransformersProbe
from reagent_benchmarks.engine_replies import Limits, conversation
from reagent_benchmarks.engine_weights import prepare
from reagent_benchmarks.engines import CONTEXT, cases
from reagent_sdk import models

CACHES, FLASH = {"f16": 1, "f32": 0}, {"on": 1, "off": 0}
"""ggml's numbers for the two types, and llama.cpp's for flash attention."""


def server(path: Path, cache: str, flash: str) -> Any:
    """The embedded engine as the SDK starts it, but for attention; on one thread."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(path), CONTEXT, 1
    params.n_batch = params.n_ubatch = 128
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type(CACHES[cache])
    params.flash_attn_type = xllamacpp.llama_flash_attn_type(FLASH[flash])
    params.verbosity, params.warmup, params.fit_params = -1, False, False
    return xllamacpp.Server(params)


async def measure(args: argparse.Namespace) -> Table:
    """Largest difference from transformers over all cases and digits, for every combination."""
    weights = prepare(models.find("smollm2-135m-instruct"), args.weights)
    reference = TransformersProbe(weights.hf)
    findings = Findings([], reference.tokenizer, {})
    limits = Limits(0, args.max_chars, secret=f"engines-{args.seed}".encode())
    chosen = cases(args.data, args.n, args.max_chars, args.seed)
    forced = reference.tokenizer.encode(SO_FAR, add_special_tokens=False)
    prompts = [[*await reference.prompt(await conversation(case, limits)), *forced] for case in chosen]

    async def odds(probe: Probe) -> Sequence[float]:
        return [value for prompt in prompts for value in findings.digits(await probe.next(prompt))]

    base = await odds(reference)
    table = Table("weights", "keys and values", "flash attention", "largest difference, nats")
    for path, cache, flash in itertools.product((weights.plain, weights.packed), CACHES, FLASH):
        engine = server(path, cache, flash)
        probe = LlamaCppProbe(engine.listening_address)
        pairs = zip(await odds(probe), base, strict=True)
        gap = max(abs(a - b) for a, b in pairs if math.isfinite(a) and math.isfinite(b))
        table.add_row("float32" if path == weights.plain else "Q4_1", cache, flash, f"{gap:.5f}")
        await probe.aclose()
    return table


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=20, help="trajectories, the same as those of the engines benchmark")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-chars", type=int, default=3_000)
    parser.add_argument("--weights", metavar="FOLDER", type=Path, default=Path("build/engines"))
    args = parser.parse_args()
    if not (args.data / "agentprocessbench").is_dir():
        sys.exit(f"error: {args.data} holds no agentprocessbench; pass --data")
    import torch

    torch.set_num_threads(1)
    Console().print(asyncio.run(measure(args)))


if __name__ == "__main__":
    main()
