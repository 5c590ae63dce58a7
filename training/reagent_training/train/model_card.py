"""The model card of what a run made: what it is, what it was made of, what was measured, what not to use it for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reagent_training.markdown import table
from reagent_training.train.config import JudgeConfig, RunConfig

_JUDGE_LIMITS = (
    "- A score is a guess about the process, made from the record alone; calibrate it on labelled work of your own "
    "with `reagent calibrate` before you let it decide anything.",
    "- It has learnt from the sources above and nothing else; other agents, tools and languages are new to it.",
    "- Text that argues well can persuade it.",
)
_AGENT_LIMITS = (
    "- It has learnt to please a rule and, where there was one, a judge: what neither of them sees may have got worse.",
    "- It knows the tasks and tools above and nothing else.",
    "- Everything that it writes into a tool call is run: keep the tools behind walls.",
)


def card(config: RunConfig, facts: Mapping[str, Any], log: list[dict[str, Any]]) -> str:
    """The card as Markdown.

    Args:
        config: the run's.
        facts: of the run: sources, validation.
        log: what the trainer logged.
    """
    how = config.optimiser
    last: dict[str, Any] = next((entry for entry in reversed(log) if "loss" in entry), {})
    judge = isinstance(config, JudgeConfig)
    lines = [f"# {config.name}", "", _what(config), "", "## Made of", "", _sources(facts.get("sources", {})), ""]
    cut = f", records cut to {config.max_chars} characters" if isinstance(config, JudgeConfig) else ""
    lines += [
        f"{_kind(config)}; learning rate {how.learning_rate:g}, {last.get('step', 0)} updates of "
        f"{how.batch * how.accumulate} rows, seed {config.seed}{cut}.",
        "",
        "![curves](curves.png)",
        "",
        "## Measured",
        "",
        *_evaluation(facts.get("validation") or {}, judge=judge),
        "## Limits",
        "",
        *(_JUDGE_LIMITS if judge else _AGENT_LIMITS),
        "",
    ]
    return "\n".join(lines)


def shown(value: object) -> str:
    """A figure for people; "-" where there is none."""
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def _what(config: RunConfig) -> str:
    made = f"for Reagent SDK: `{config.base}` trained with `reagent train {config.recipe}`"
    if isinstance(config, JudgeConfig):
        return f"A judge of agents' work {made}, to be asked under the prompt `{config.prompt_version}`."
    return f"An agent with tools {made}. It works alone: `with_critique` adds a judge where one is wanted."


def _sources(sources: Mapping[str, Any]) -> str:
    rows = [
        [name, of["rows"], ", ".join(of["labelled_by"]), of["licence"] or "none named"] for name, of in sources.items()
    ]
    return table(["source", "rows", "labelled by", "licence"], rows)


def _kind(config: RunConfig) -> str:
    """What was trained."""
    init = getattr(config, "init", None)
    if init is not None:
        return f"The weights of `{init.name}`, trained further"
    if config.lora is None:
        return "All weights"
    return f"LoRA of rank {config.lora.rank} on the layers from {config.lora.first_layer} on"


def _evaluation(measured: Mapping[str, Any], *, judge: bool) -> list[str]:
    if not measured:
        how = "`reagent train compare`" if judge else "`reagent bench run`"
        return [f"Nothing was held out from this run; measure it with {how}.", ""]
    names = next(iter(measured.values()))
    rows = [[name, *(shown(of.get(name)) for of in measured.values())] for name in names]
    return [table(["on held-out rows", *measured], rows), ""]
