"""`reagent train plan`: who does what on many GPUs, what it takes, how to start it. Nothing is started or loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reagent_sdk.cli.options import JsonOption

PLAN_EXAMPLES = """\b
Examples:
  reagent train plan --model 8b --gpus 8
  reagent train plan --model 8b --gpus 8 --nodes 2 --gpu h200 --recipe reagent-r --max-tokens 32768
  reagent train plan --model 8b --gpus 2 --lora-rank 32 --judge-model none
  reagent train plan --model weights/my-8b --recipe agent.yaml --mfu 0.4 --json
"""
_RECIPES = ("reagent-u", "reagent-r", "agent-grpo")


def plan(  # noqa: PLR0913 - one parameter an option
    model: Annotated[
        str | None, typer.Option(metavar="SIZE", help="135m, 360m, 1.7b, 4b, 8b (default), 14b, 32b or a folder.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, metavar="N", help="Devices of each machine.")] = 8,
    gpu: Annotated[str, typer.Option(metavar="NAME", help="h100, h200, a100, l40s or cpu (cores).")] = "h100",
    gpu_memory: Annotated[float | None, typer.Option(min=1, metavar="GB", help="Another size of their memory.")] = None,
    nodes: Annotated[int, typer.Option(min=1, metavar="N", help="Machines.")] = 1,
    recipe: Annotated[
        str, typer.Option(metavar="NAME_OR_FILE", help="reagent-u, reagent-r, agent-grpo, or a file of settings.")
    ] = "reagent-u",
    judge_model: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Like --model, by default the same; none: served elsewhere.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, metavar="N", help="Questions of an update, about.")] = 32,
    group: Annotated[int | None, typer.Option(min=2, metavar="N", help="Rollouts of each (8).")] = None,
    prompt_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Of question, instructions, tools.")] = 1_500,
    rollout_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of a rollout, mean, tools included.")
    ] = 4_096,
    max_tokens: Annotated[int | None, typer.Option(min=64, metavar="N", help="Longest row (16384).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, metavar="N", help="Model calls of a rollout (13).")] = None,
    updates: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of the whole run (300).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Rows a device trains on at once.")] = None,
    lora_rank: Annotated[int, typer.Option(min=0, metavar="N", help="Trains an adapter; 0 all weights.")] = 0,
    sharding: Annotated[Literal["fsdp2", "zero3", "none"], typer.Option(help="Of training states.")] = "fsdp2",
    checkpointing: Annotated[bool, typer.Option(help="Compute activations anew instead of keeping them.")] = True,
    padding: Annotated[bool, typer.Option(help="Rows are padded to the longest of their share, as TRL does.")] = True,
    mode: Annotated[
        Literal["auto", "server", "colocate"], typer.Option(help="Where vLLM samples: devices of its own, or not.")
    ] = "auto",
    mfu: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the peak that training reaches.")] = 0.35,
    bandwidth: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the bandwidth sampling reaches.")] = 0.6,
    tool_seconds: Annotated[float, typer.Option(min=0, metavar="S", help="Until a turn's tools are done.")] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Plan agent training on many GPUs: memory, time, who trains, samples and judges, and the commands to start.

    Memory follows formulas that are tested against real models; times are estimates from makers' figures, and no GPU
    was measured. docs/scale.md has the formulas.
    """
    from reagent_sdk.cli.terminal import write_json
    from reagent_sdk.errors import InvalidInput
    from reagent_training.scale.cluster import Cluster
    from reagent_training.scale.hardware import Assumptions, device_named
    from reagent_training.scale.memory import Training
    from reagent_training.scale.models import architecture_of
    from reagent_training.scale.plan import Wish, plan_of
    from reagent_training.scale.settings import Told, told_by
    from reagent_training.scale.show import show
    from reagent_training.scale.throughput import Workload
    from reagent_training.train.config import Lora

    told = Told(recipe=recipe) if recipe in _RECIPES else told_by(Path(recipe))
    attempts = 2 if told.recipe == "reagent-u" else 1
    shape = architecture_of(model or told.base or "8b")
    judged = told.recipe != "agent-grpo" and judge_model != "none"
    longest = max_tokens or told.max_tokens or 16_384
    if prompt_tokens >= longest:
        raise InvalidInput(f"--prompt-tokens {prompt_tokens} leaves no room for a rollout in --max-tokens {longest}")
    rows = batch or told.batch or attempts
    if rows % attempts:
        raise InvalidInput(f"--batch {rows} must be even: attempts and their revisions are learnt from in pairs")
    adapter = Lora(rank=lora_rank) if lora_rank else told.lora
    cluster = Cluster(
        model=shape,
        judge=(architecture_of(judge_model) if judge_model else shape) if judged else None,
        device=device_named(gpu, memory_gb=gpu_memory),
        gpus=gpus,
        nodes=nodes,
        how=Training(sharding=sharding, lora=adapter, checkpointing=checkpointing, batch=rows),
        work=Workload(
            prompts=prompts,
            group=group or told.group or 8,
            attempts=attempts,
            prompt_tokens=prompt_tokens,
            rollout_tokens=rollout_tokens,
            turns=steps or told.steps or 13,
            longest=longest,
            padded=padding,
            judged=judged,
        ),
        guess=Assumptions(mfu=mfu, bandwidth_use=bandwidth, tool_seconds=tool_seconds),
    )
    wish = Wish(
        recipe=told.recipe,
        config="agent.yaml" if recipe in _RECIPES else recipe,
        updates=updates or told.updates or 300,
        mode=None if mode == "auto" else mode,
    )
    made = plan_of(cluster, wish)
    if as_json:
        write_json(made)
    else:
        show(made, cluster)
