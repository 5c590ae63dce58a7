"""The commands that start a planned run, and the settings of its recipe. They are printed, and nothing is started."""

from __future__ import annotations

import shlex

from reagent_training.scale.cluster import Cluster, trained
from reagent_training.scale.layout import Layout

TRAIN_HOST, SERVICE_HOST = "TRAIN_HOST", "SERVICE_HOST"
"""What stands for addresses on several machines."""
_ROLLOUT_PORT, _JUDGE_PORT, _MEETING_PORT = 8000, 8001, 29500


def commands(cluster: Cluster, layout: Layout, *, recipe: str, config: str, out: str) -> dict[str, str]:
    """What to start, by what it is, in this order.

    Args:
        cluster: what there is.
        layout: how it is divided.
        recipe: reagent-u, reagent-r or agent-grpo.
        config: the recipe's file.
        out: the folder of the run.
    """
    found = {}
    if layout.division.mode == "server":
        found["rollouts"] = rollout_server(cluster, layout)
    if layout.division.judging:
        found["judge"] = judge_server(cluster, layout)
    return found | {"training": training_command(cluster, layout, recipe=recipe, config=config, out=out)}


def rollout_server(cluster: Cluster, layout: Layout) -> str:
    """A vLLM as TRL wants it: weights come over NCCL, and probabilities after temperature and top-p."""
    division = layout.division
    first = division.training if cluster.nodes == 1 else 0
    host = "127.0.0.1" if cluster.nodes == 1 else "0.0.0.0"  # noqa: S104 - training asks from another machine
    words = ["vllm", "serve", cluster.model.base, "--host", host, "--port", str(_ROLLOUT_PORT)]
    words += ["--tensor-parallel-size", str(division.rollouts), "--max-model-len", str(cluster.work.longest)]
    words += ["--gpu-memory-utilization", f"{cluster.guess.engine_share:g}", "--enable-prefix-caching"]
    words += ["--weight-transfer-config", '{"backend": "nccl"}', "--logprobs-mode", "processed_logprobs"]
    words += ["--max-logprobs", "-1"]
    return f"VLLM_SERVER_DEV_MODE=1 {_visible(cluster, first, division.rollouts)}{shlex.join(words)}"


def judge_server(cluster: Cluster, layout: Layout) -> str:
    """The judge behind `reagent judge serve`, with vLLM's own copies on its devices."""
    division = layout.division
    first = division.training if cluster.nodes == 1 else 0
    first += division.rollouts if division.mode == "server" else 0
    words = ["reagent", "judge", "serve", "hf:JUDGE", "--engine", "vllm", "--port", str(_JUDGE_PORT)]
    if cluster.nodes > 1:
        words += ["--host", "0.0.0.0", "--api-key-env", "REAGENT_API_KEY"]  # noqa: S104 - as above
    words += ["--vllm-python", "vllm-env/bin/python", "--", "--tensor-parallel-size", str(division.judge_size)]
    copies = min(division.judging, cluster.gpus) // division.judge_size
    words += ["--data-parallel-size", str(copies), "--max-model-len", str(cluster.work.longest)]
    words += ["--gpu-memory-utilization", f"{cluster.guess.engine_share:g}"]
    return f"{_visible(cluster, first, min(division.judging, cluster.gpus))}{shlex.join(words)}"


def training_command(cluster: Cluster, layout: Layout, *, recipe: str, config: str, out: str) -> str:
    """accelerate, on each training machine, and the recipe with what the plan settles."""
    division, how = layout.division, trained(cluster, layout.division)
    words = ["accelerate", "launch"]
    if how.sharding != "none":
        words += ["--config_file", f"training/recipes/{'zero3' if how.sharding == 'zero3' else 'fsdp'}.yaml"]
    words += ["--num_processes", str(division.training), "--num_machines", str(machines(cluster, layout))]
    rank = ""
    if machines(cluster, layout) > 1:
        words += ["--rdzv_backend", "c10d", "--main_process_ip", TRAIN_HOST]
        words += ["--main_process_port", str(_MEETING_PORT), "--max_restarts", "3"]
        rank = "--machine_rank $RANK "
    recipe_words = ["-m", "reagent_training", "train", recipe, config, "--out", out]
    for name, value in settings(cluster, layout).items():
        recipe_words += ["--set", f"{name}={value}"]
    return f"{_visible(cluster, 0, division.training)}{shlex.join(words)} {rank}{shlex.join(recipe_words)}"


def settings(cluster: Cluster, layout: Layout) -> dict[str, str]:
    """Settings of the recipe that the plan settles."""
    division, how, work = layout.division, cluster.how, cluster.work
    local = cluster.nodes == 1
    each = division.prompts * work.group * work.attempts // (division.training * how.batch)
    found = {
        "optimiser.batch": str(how.batch),
        "optimiser.accumulate": str(each),
        "rollout.group": str(work.group),
        "max_tokens": str(work.longest),
        "activation_checkpointing": str(how.checkpointing).lower(),
        "rollout.vllm.mode": division.mode,
    }
    if division.mode == "server":
        found["rollout.vllm.server"] = f"http://{'127.0.0.1' if local else SERVICE_HOST}:{_ROLLOUT_PORT}"
    else:
        found["rollout.vllm.memory"] = f"{division.share:g}"
        found["rollout.vllm.tensor_parallel"] = str(division.rollouts)
        found["rollout.vllm.sleep"] = "true"
    if division.judging:
        found["judge.spec"] = f"http://{'127.0.0.1' if local else SERVICE_HOST}:{_JUDGE_PORT}/v1"
    return found


def machines(cluster: Cluster, layout: Layout) -> int:
    """Machines that train."""
    return max(1, layout.division.training // cluster.gpus)


def _visible(cluster: Cluster, first: int, count: int) -> str:
    """The devices of a process, where a machine's are divided; nothing where it gets all of them."""
    if count >= cluster.gpus:
        return ""
    return f"CUDA_VISIBLE_DEVICES={','.join(map(str, range(first, first + count)))} "
