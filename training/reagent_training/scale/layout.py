"""Which division of the devices is best: what each holds and takes; the fastest one that fits is taken."""

from __future__ import annotations

import math
from collections.abc import Iterator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_training.scale.cluster import Cluster, Division, Mode, engine_of, trained
from reagent_training.scale.divisions import divisions
from reagent_training.scale.memory import Engine, Memory, engine, training_memory
from reagent_training.scale.throughput import rollouts_of, sampling_seconds, training_seconds, verdicts_of


class Layout(Frozen):
    """A division, what its devices hold, and how long it takes.

    Attributes:
        memory: of a training device.
        rollout: the rollout engine; `judge_engine` the judge's.
        need: bytes that a training device needs at the worst moment.
        rollout_seconds: of all attempts of an update, tools included; likewise the others.
        problems: why it cannot run, empty where it can.
    """

    division: Division
    memory: Memory
    rollout: Engine
    judge_engine: Engine | None
    need: float
    rollout_seconds: float
    judge_seconds: float
    train_seconds: float
    sync_seconds: float
    problems: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Of one update."""
        return self.rollout_seconds + self.judge_seconds + self.train_seconds + self.sync_seconds


def best(cluster: Cluster, *, mode: Mode | None = None) -> Layout:
    """The fastest division that fits; where none does, the one with the fewest problems and the least memory.

    Args:
        cluster: what there is.
        mode: only divisions of this kind.

    Raises:
        InvalidInput: there is no division at all.
    """
    found = [weigh(cluster, one) for one in divisions(cluster) if mode in (None, one.mode)]
    if not found:
        raise InvalidInput(
            f"{cluster.gpus * cluster.nodes} devices cannot be divided into training, rollouts and a judge so that "
            f"about {cluster.work.prompts} prompts go round evenly: give more --gpus, another --prompts, or "
            "--judge-model none for a judge that runs elsewhere"
        )

    def order(one: Layout) -> tuple[int, float, float]:
        return len(one.problems), one.need if one.problems else 0.0, one.seconds / one.division.prompts

    return min(found, key=order)


def weigh(cluster: Cluster, division: Division) -> Layout:
    """What a division holds and takes."""
    work = cluster.work.model_copy(update={"prompts": division.prompts})
    cluster = cluster.model_copy(update={"work": work})
    how = trained(cluster, division)
    memory = training_memory(cluster.model, how)
    rollout, need = _rollout_engine(cluster, division, memory)
    judge = engine_of(cluster, cluster.judge, division.judge_size) if cluster.judge else None
    layout = Layout(
        division=division,
        memory=memory,
        rollout=rollout,
        judge_engine=judge,
        need=need,
        rollout_seconds=_capped(_rollout_seconds(cluster, division, rollout)),
        judge_seconds=_capped(_judge_seconds(cluster, division, judge)),
        train_seconds=training_seconds(
            cluster.model, how, cluster.work, cluster.device, cluster.guess, link=_link(cluster, division)
        ),
        sync_seconds=2 * cluster.model.parameters / _link(cluster, division),
    )
    return layout.model_copy(update={"problems": tuple(_problems(cluster, layout))})


def _rollout_engine(cluster: Cluster, division: Division, memory: Memory) -> tuple[Engine, float]:
    """The rollout engine, and what a training device needs while it samples or while it trains."""
    if division.mode == "server":
        return engine_of(cluster, cluster.model, division.rollouts), memory.total
    room = cluster.device.memory * division.share
    inside = engine(cluster.model, devices=division.rollouts, room=room, keeps=cluster.guess.engine_bytes)
    return inside, max(memory.total, memory.states + room)


def _rollout_seconds(cluster: Cluster, division: Division, one: Engine) -> float:
    guess, work = cluster.guess, cluster.work
    seconds = work.attempts * (work.turns - 1) * guess.tool_seconds
    for attempt in range(work.attempts):
        what = rollouts_of(work, guess, attempt)
        seconds += sampling_seconds(
            cluster.model, what, one, cluster.device, guess, engines=division.engines, each=division.rollouts
        )
    return seconds


def _judge_seconds(cluster: Cluster, division: Division, one: Engine | None) -> float:
    if one is None or cluster.judge is None:
        return 0.0
    copies, size = division.judging // division.judge_size, division.judge_size
    return sum(
        sampling_seconds(
            cluster.judge,
            verdicts_of(cluster.work, attempt),
            one,
            cluster.device,
            cluster.guess,
            engines=copies,
            each=size,
        )
        for attempt in range(cluster.work.attempts)
    )


def _link(cluster: Cluster, division: Division) -> float:
    """Bytes a second on the slowest way between training devices."""
    return cluster.device.link if division.training <= cluster.gpus else min(cluster.device.link, cluster.guess.network)


def _capped(seconds: float) -> float:
    """A number that JSON can carry, where nothing can be sampled at all."""
    return seconds if math.isfinite(seconds) else 1e9


def _problems(cluster: Cluster, layout: Layout) -> Iterator[str]:
    need, usable = layout.need / 1e9, cluster.usable / 1e9
    if need > usable:
        yield f"a training device needs {need:.0f} GB, and {usable:.0f} GB are usable"
    if layout.rollout.sequences(cluster.work.longest) < 1:
        yield f"a rollout engine of {layout.division.rollouts} holds no row of {cluster.work.longest:,} tokens"
    judge = layout.judge_engine
    if judge is not None and judge.sequences(verdicts_of(cluster.work, 0).context) < 1:
        yield f"a judge engine of {layout.division.judge_size} holds no record"
