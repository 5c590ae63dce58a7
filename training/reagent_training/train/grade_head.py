"""The grade head: a probe of a judge's last layer, written into its adapter as a rank-one update.

The last layer's down-projection adds W a to the residual stream x, from which the norm and the output embeddings E make
logits: logit(d) = E_d . (g * x) / rms(x). Adding u w^T to W adds u (w . a) to x, and with u chosen so that
E_d . (g * u) / rms = (d - 4.5) / 4.5 for the ten digits, and of least length otherwise, the margin w . a tilts the
grade just as `probe` says. Every engine that runs the adapter serves it: only the adapter's numbers change.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reagent_sdk.errors import InvalidInput
from reagent_sdk.models.manifest import read_manifest
from reagent_training.train.config import SftConfig
from reagent_training.train.examples import IGNORED, Example, sft_examples
from reagent_training.train.probe import TILT, Probe, fit_probe
from reagent_training.train.rrm_sft import load_rows
from reagent_training.train.sft_loss import digit_ids

Array = NDArray[np.float64]
_OTHERS = 24
"""Places of each reply, besides the grade, that are looked at."""


class Seen(NamedTuple):
    """What the model did on the rows.

    Attributes:
        activations: (n, features) input of the last down-projection where the grade is about to be written.
        others: (m, features) the same at other places of the replies.
        own: (n, 10) log-probabilities of the digits.
        rms: mean root mean square of the residual stream before the last norm, at the grade.
    """

    activations: Array
    others: Array
    own: Array
    rms: float


def fit_grade_head(config: SftConfig, judge: Path, out: Path) -> dict[str, Any]:
    """Fits a head for the judge in a folder and writes the judge with it to another.

    Args:
        config: which rows to fit on, and how they are read: that of the judge's own run, mostly.
        judge: a LoRA adapter that `reagent train rrm-sft` wrote, whose last layer's down-projection is adapted.
        out: the folder to write; must not exist.

    Returns:
        Figures of rows whose question the head did not see, before and after, and the head's settings.

    Raises:
        InvalidInput: the folder holds no such judge, or `out` exists.
        WeightsUnavailable: the base weights are missing.
    """
    _check(judge, out)
    rows, _ = load_rows(config)
    model, tokenizer = load_judge(judge, config)
    examples = sft_examples(rows, tokenizer, config, config.preferred, Counter())
    by_id = {row.id: row for row in rows}
    seen = look(model, examples, digit_ids(tokenizer))
    targets = np.array([one.score for one in examples])
    groups = [by_id[one.row].group for one in examples]
    probe = fit_probe(seen.activations, seen.others, seen.own, targets, groups)
    direction = digit_direction(model, digit_ids(tokenizer), seen.rms)
    lost = add_rank_one(model, probe.strength * direction, probe.weights)
    shutil.copytree(judge, out, ignore=shutil.ignore_patterns("checkpoints", "*.gguf", "calibration.json"))
    _save(model, out)
    head: dict[str, Any] = {"penalty": probe.penalty, "strength": probe.strength, "lost": lost, "rows": len(examples)}
    head["cross-fitted"] = _figures(examples, by_id, seen, probe)
    report = json.loads((out / "report.json").read_text(encoding="utf-8")) | {"grade_head": head}
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return {"name": config.name, **head}


def load_judge(judge: Path, config: SftConfig) -> tuple[Any, Any]:
    """The judge's base with its adapter, and the tokenizer."""
    from peft import PeftModel

    from reagent_training.train.weights import load_base

    base, tokenizer = load_base(config)
    return PeftModel.from_pretrained(base, str(judge), is_trainable=False).eval(), tokenizer


def look(model: Any, examples: Sequence[Example], digits: Sequence[int]) -> Seen:
    """One forward pass for each row, with what the last layer does kept."""
    from tqdm import tqdm

    causal = model.get_base_model()
    last, norm = causal.model.layers[-1].mlp.down_proj, causal.model.norm
    kept: dict[str, torch.Tensor] = {}
    hooks = [
        last.register_forward_pre_hook(lambda _, given: kept.__setitem__("act", given[0])),
        norm.register_forward_pre_hook(lambda _, given: kept.__setitem__("x", given[0])),
    ]
    grades, others, own, sizes = [], [], [], []
    try:
        with torch.inference_mode():
            for one in tqdm(examples, desc="looking at rows", disable=None):
                ids = torch.tensor([one.input_ids])
                at = _grade_at(one) - 1
                logits = model(input_ids=ids, use_cache=False, logits_to_keep=torch.tensor([at])).logits
                grades.append(kept["act"][0, at].double().numpy())
                own.append(logits[0, 0].double().log_softmax(-1)[list(digits)].numpy())
                sizes.append(float(kept["x"][0, at].square().mean().sqrt()))
                places = [p - 1 for p, label in enumerate(one.labels) if label != IGNORED and p - 1 != at]
                chosen = places[:: max(1, len(places) // _OTHERS)]
                others.append(kept["act"][0, chosen].double().numpy())
    finally:
        for hook in hooks:
            hook.remove()
    return Seen(np.array(grades), np.concatenate(others), np.array(own), float(np.mean(sizes)))


def digit_direction(model: Any, digits: Sequence[int], rms: float) -> Array:
    """The shortest u with E_d . (g * u) / rms = (d - 4.5) / 4.5 for the ten digits."""
    causal = model.get_base_model()
    table = causal.get_output_embeddings().weight.detach().double()[list(digits)].numpy()
    gain = causal.model.norm.weight.detach().double().numpy()
    found: Array = np.linalg.lstsq(table * gain / rms, TILT, rcond=None)[0]
    return found


def add_rank_one(model: Any, left: Array, right: Array) -> float:
    """Adds left right^T to the last down-projection's update, which keeps its rank: the smallest part goes.

    Returns:
        How much of the sum was lost with it, as a share of its norm.
    """
    module = model.get_base_model().model.layers[-1].mlp.down_proj
    [name] = module.active_adapters
    down, up = module.lora_A[name].weight, module.lora_B[name].weight
    scale, rank = float(module.scaling[name]), down.shape[0]
    whole = scale * (up.detach().double() @ down.detach().double()) + torch.outer(
        torch.from_numpy(left), torch.from_numpy(right)
    )
    u, s, v = torch.linalg.svd(whole, full_matrices=False)
    root = (s[:rank] / scale).sqrt()
    with torch.no_grad():
        up.copy_((u[:, :rank] * root).to(up.dtype))
        down.copy_((root[:, None] * v[:rank]).to(down.dtype))
    return float(s[rank:].square().sum().sqrt() / s.square().sum().sqrt())


def _grade_at(one: Example) -> int:
    if one.grade_at is None:
        raise InvalidInput("a grade head needs a graded prompt, such as rrm-2")
    return one.grade_at


def _check(judge: Path, out: Path) -> None:
    manifest = read_manifest(judge)
    if manifest is None or manifest.role != "judge" or not (judge / "adapter_model.safetensors").is_file():
        raise InvalidInput(f"{judge} holds no adapter of a judge; `reagent train rrm-sft` writes one")
    settings = json.loads((judge / "adapter_config.json").read_text(encoding="utf-8"))
    if "down_proj" not in settings["target_modules"]:
        raise InvalidInput(f"the adapter in {judge} leaves down_proj as it is, and the head is written there")
    if out.exists():
        raise InvalidInput(f"{out} exists already; name another folder")


def _save(model: Any, out: Path) -> None:
    """Writes the adapter's numbers; everything else in the folder stays as the judge's run wrote it."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = {name: value.contiguous() for name, value in get_peft_model_state_dict(model).items()}
    save_file(weights, str(out / "adapter_model.safetensors"), metadata={"format": "pt"})


def _figures(examples: Sequence[Example], by_id: dict[str, Any], seen: Seen, probe: Probe) -> dict[str, Any]:
    """Source -> figures before and after, of rows whose question the head did not see."""
    from reagent_training.train.validation import measured

    rows = list(by_id.values())
    arms = {"before": np.exp(seen.own) @ np.arange(10) / 9 / np.exp(seen.own).sum(1), "after": probe.held_out}
    return {
        source: {name: measured(rows, *_of(source, examples, by_id, scores)) for name, scores in arms.items()}
        for source in sorted({row.source for row in rows})
    }


def _of(
    source: str, examples: Sequence[Example], by_id: dict[str, Any], scores: Array
) -> tuple[list[Example], list[float]]:
    pairs = [(one, float(s)) for one, s in zip(examples, scores, strict=True) if by_id[one.row].source == source]
    return [one for one, _ in pairs], [score for _, score in pairs]
