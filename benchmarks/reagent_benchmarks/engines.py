"""The same judge on several engines: `python -m reagent_benchmarks.engines --data DIR [--vllm URL#MODEL]`.

The same real trajectories, greedy sampling without penalties, the same frame code and the same numbers as weights: a
small GGUF as it is (Q4_1) on the embedded engine; and dequantised to float32 on the embedded engine, in transformers
and, where an address is given, on vLLM. Each engine judges with the grammar of verdicts, which transformers cannot
apply, and without, on one thread. For vLLM write the weights with `--prepare` first, and then start

    OMP_NUM_THREADS=1 VLLM_CPU_KVCACHE_SPACE=2 .venv-vllm/bin/python -m vllm.entrypoints.openai.api_server \\
        --model build/engines/hf --served-model-name smollm --host 127.0.0.1 --port 8123 --dtype float32 \\
        --enforce-eager --max-model-len 4096 --max-logprobs 1000 --enable-prompt-tokens-details
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from reagent_benchmarks.engine_findings import Findings
from reagent_benchmarks.engine_probes import LlamaCppProbe, TransformersProbe, VllmProbe
from reagent_benchmarks.engine_replies import Case, Limits, Reply, Side, conversation, judged
from reagent_benchmarks.engine_report import report
from reagent_benchmarks.engine_weights import Weights, prepare
from reagent_sdk import Task, Trajectory, models
from reagent_sdk.clients.embedded import Embedded
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.clients.transformers_client import Transformers
from reagent_sdk.rendering import render_record

CONTEXT = 4096
TRANSFORMERS, VLLM, PLAIN, PACKED = "transformers f32", "vLLM f32", "embedded f32", "embedded Q4_1"


def cases(data: Path, count: int, max_chars: int, seed: int) -> list[Case]:
    """A sample of the trajectories of AgentProcessBench (HotpotQA) that fit the judge's window uncut."""
    path = data / "agentprocessbench" / "hotpotqa_trajectories.jsonl"
    fitting = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        work = Trajectory.from_openai(
            [message for message in row["messages"] if message["role"] not in ("system", "user")],
            answer=row["answer_text"],
        )
        task = Task(question=row["question"])
        if not render_record(task, work, max_chars=max_chars).omitted_chars:
            fitting.append((task, work))
    return random.Random(seed).sample(fitting, min(count, len(fitting)))


@asynccontextmanager
async def opened(weights: Weights, vllm: str | None) -> AsyncIterator[list[Side]]:
    """All engines, loaded; transformers first, to which the others are compared."""
    async with AsyncExitStack() as stack:
        sides = [Side(TRANSFORMERS, Transformers(weights.hf, device="cpu"), TransformersProbe(weights.hf), ("free",))]
        if vllm:
            url, _, model = vllm.partition("#")
            sides.append(Side(VLLM, OpenAICompatible(url, model, timeout=600), VllmProbe(url, model)))
        for name, path in ((PLAIN, weights.plain), (PACKED, weights.packed)):
            client = Embedded(path, context=CONTEXT, slots=1, threads=1)
            await client.load()
            sides.append(Side(name, client, LlamaCppProbe(client.engine.base_url, client.engine.api_key)))
        for side in sides:
            stack.push_async_callback(side.client.aclose)
            stack.push_async_callback(side.probe.aclose)
        yield sides


async def measure(weights: Weights, args: argparse.Namespace, progress: Progress) -> Findings:
    """Judges with every engine, one at a time, then asks them all about single tokens."""
    from transformers import AutoTokenizer

    chosen = cases(args.data, args.n, args.max_chars, args.seed)
    limits = Limits(args.tokens, args.max_chars, secret=f"engines-{args.seed}".encode())
    async with opened(weights, args.vllm) as sides:
        replies: dict[tuple[str, str], list[Reply]] = {}
        for mode in ("grammar", "free"):
            for side in (side for side in sides if mode in side.modes):
                bar = progress.add_task(f"{side.name}, {mode}", total=len(chosen))
                replies[side.name, mode] = []
                for case in chosen:
                    replies[side.name, mode].append(await judged(side, case, mode, limits))
                    progress.advance(bar)
        asked = [await conversation(case, limits) for case in chosen]
        findings = Findings(sides, AutoTokenizer.from_pretrained(str(weights.hf)), replies)
        bar = progress.add_task("comparing", total=len(asked))
        for index, messages in enumerate(asked):
            await findings.compare(index, messages)
            progress.advance(bar)
        return findings


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=20, help="trajectories")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of the frame code")
    parser.add_argument("--max-chars", type=int, default=3_000, help="longest record; longer ones are not drawn")
    parser.add_argument("--tokens", type=int, default=200, help="longest reply")
    parser.add_argument("--vllm", metavar="URL#MODEL", help="a vLLM server of the weights in FOLDER/hf")
    parser.add_argument("--weights", metavar="FOLDER", type=Path, default=Path("build/engines"))
    parser.add_argument("--prepare", action="store_true", help="only write the weights")
    args = parser.parse_args()
    weights = prepare(models.find("smollm2-135m-instruct"), args.weights)
    if args.prepare:
        return
    if not (args.data / "agentprocessbench").is_dir():
        sys.exit(f"error: {args.data} holds no agentprocessbench; pass --data")
    if args.vllm and not all(args.vllm.partition("#")):
        sys.exit(f"error: --vllm {args.vllm} is not of the form http://127.0.0.1:8123/v1#smollm")
    import torch

    torch.set_num_threads(1)
    with Progress(console=Console(stderr=True)) as progress:
        findings = asyncio.run(measure(weights, args, progress))
    report(findings, Console(width=None if sys.stdout.isatty() else 140))


if __name__ == "__main__":
    main()
