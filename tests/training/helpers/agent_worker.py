"""One of several processes that train an agent together; leaves behind what each update was made of."""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pytest import MonkeyPatch  # noqa: PT013 - it is all that is needed
from reagent_training.agent_rl import recipe
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.update import as_batch
from reagent_training.train import report as reports
from trl import GRPOTrainer

sys.path.insert(0, str(Path(__file__).parent))
import tiny_agent


def work(settings: str, out: Path, die_at: int | None = None) -> None:
    """Trains.

    Args:
        settings: of the run, as JSON.
        out: its folder; beside it each rank writes `NAME-RANK.pt`, a list with an entry for each update.
        die_at: the update in which rank 1 is killed.
    """
    warnings.simplefilter("ignore")
    rank, made = int(os.environ["RANK"]), list[dict[str, Any]]()
    make, score, step = as_batch, GRPOTrainer._generate_and_score_completions, GRPOTrainer.training_step

    def batched(rows: Sequence[Any], **options: Any) -> dict[str, Any]:
        if rank == 1 and len(made) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        tokens = [asdict(row.rollout.tokens) if row.rollout else None for row in rows]
        made.append({"tokens": tokens, "rewards": [row.reward for row in rows]})
        return make(rows, **options)

    def scored(self: Any, inputs: Any) -> Any:
        batch = score(self, inputs)
        made[-1] |= {"advantages": batch["advantages"].tolist(), "processes": self.accelerator.num_processes}
        return batch

    def stepped(self: Any, model: Any, *args: Any, **options: Any) -> Any:
        loss = step(self, model, *args, **options)
        own = self.accelerator.unwrap_model(model)
        made[-1]["gradient"] = {name: p.grad.detach().clone() for name, p in own.named_parameters()}
        torch.save(made, out.with_name(f"{out.name}-{rank}.pt"))
        return loss

    patch = MonkeyPatch()  # never undone: the process ends
    patch.setattr(recipe, "as_batch", batched)
    patch.setattr(recipe, "read_tasks", lambda config: tiny_agent.task_set(config, count=2))
    patch.setattr(reports, "draw", lambda *_: None)
    patch.setattr(GRPOTrainer, "_generate_and_score_completions", scored)
    patch.setattr(GRPOTrainer, "training_step", stepped)
    recipe.run(AgentConfig.model_validate_json(settings), out, tiny_agent.queue())


def killed_and_started_again(settings: str, out: Path) -> None:
    """What torchrun does, twice: its agent starts two processes, whose imports are done already.

    Beside `out` a file tells how the first start ended, and which checkpoints there were then.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    torch.set_num_threads(1)
    how = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        max_restarts=0,
        start_method="fork",
    )
    stopped = ""
    try:
        elastic_launch(how, work)(settings, out, 3)
    except ChildFailedError as error:
        stopped = str(error)
    reached = sorted(one.name for one in (out / "checkpoints").glob("checkpoint-*"))
    out.with_name(f"{out.name}.json").write_text(json.dumps({"stopped": stopped, "checkpoints": reached}))
    elastic_launch(how, work)(settings, out, None)


if __name__ == "__main__":
    if sys.argv[1] == "killed":
        killed_and_started_again(sys.argv[2], Path(sys.argv[3]))
    else:
        work(sys.argv[2], Path(sys.argv[3]))
