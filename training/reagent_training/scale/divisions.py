"""All ways to divide devices into those that train, sample rollouts and judge.

Rules:

- TRL asks one vLLM server, which takes one machine's devices at most and shares one copy of the weights among them:
  a power of two that divides the heads. vLLM refuses data parallelism of dense models there.
- `colocate`: each training process has an engine of its own on its device, which sleeps while weights are moved.
- The judge has devices of its own: copies of an engine of the smallest size that holds its weights and a record.
- On several machines training takes whole ones, so that all of them start the same number of processes.
- The rollouts of an update go round evenly among training devices. The number of prompts gives way by a quarter at
  most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from reagent_training.scale.cluster import Cluster, Division, engine_of
from reagent_training.scale.models import Architecture
from reagent_training.scale.throughput import verdicts_of

COLOCATED = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Shares of a device that an engine inside a training process may take."""


def divisions(cluster: Cluster) -> Iterator[Division]:
    """All divisions that keep the rules, whether or not they fit into memory."""
    size = _judge_size(cluster)
    sizes = [n for n in (1, 2, 4, 8) if n <= cluster.gpus and not _indivisible(cluster.model, n)]
    for training, rest in _parts(cluster):
        prompts = _prompts(cluster, training)
        if prompts is None:
            continue
        judging = list(range(size, rest + 1, size)) if cluster.judge else [0]
        if cluster.judge is None or rest // size:
            most = rest // size * size if cluster.judge else 0
            for tensor in (n for n in sizes if training % n == 0):
                for share in COLOCATED:
                    yield Division(
                        mode="colocate",
                        prompts=prompts,
                        training=training,
                        rollouts=tensor,
                        judging=most,
                        judge_size=size,
                        share=share,
                    )
        for tensor in sizes:
            fitting = [n for n in judging if n + tensor <= rest]
            if fitting:  # nothing else has a use for what would be left over
                yield Division(
                    mode="server",
                    prompts=prompts,
                    training=training,
                    rollouts=tensor,
                    judging=fitting[-1],
                    judge_size=size,
                )


def _prompts(cluster: Cluster, training: int) -> int | None:
    """Prompts whose rollouts fill whole batches on all training devices; None where no such number is near."""
    work, share = cluster.work, training * cluster.how.batch
    unit = share // math.gcd(share, work.group * work.attempts)
    nearest = max(unit, round(work.prompts / unit) * unit)
    return nearest if abs(nearest - work.prompts) <= work.prompts / 4 else None


def _parts(cluster: Cluster) -> Iterator[tuple[int, int]]:
    """Training devices, and those that are left: any number on one machine, whole machines on several."""
    step = 1 if cluster.nodes == 1 else cluster.gpus
    every = cluster.gpus * cluster.nodes
    for training in range(step, every + 1, step):
        yield training, every - training


def _indivisible(model: Architecture, devices: int) -> bool:
    """Whether tensor parallelism over so many devices would split a head."""
    return bool(model.heads % devices or (model.kv_heads % devices and devices % model.kv_heads))


def _judge_size(cluster: Cluster) -> int:
    """The fewest devices that hold the judge and one record."""
    if cluster.judge is None:
        return 1
    sizes = [n for n in (1, 2, 4, 8) if n <= cluster.gpus and not _indivisible(cluster.judge, n)]
    record = verdicts_of(cluster.work, 0).context
    fitting = [n for n in sizes if engine_of(cluster, cluster.judge, n).sequences(record) >= 1]
    return fitting[0] if fitting else sizes[-1]
