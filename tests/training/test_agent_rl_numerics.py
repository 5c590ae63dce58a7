"""Rewards, advantages, loss, masks and gradient against references that are written here, on TRL's real trainer."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_training.agent_rl import recipe
from reagent_training.agent_rl.generation import TrlGenerator
from reagent_training.agent_rl.objective import is_degenerate, pooled_advantages, total_reward
from reagent_training.agent_rl.policy import Tokens
from reagent_training.agent_rl.rollouts import Rollout
from reagent_training.agent_rl.stages import FIRST, REVISED, Row
from reagent_training.agent_rl.update import REWARD, as_batch, figures
from torch.nn.functional import log_softmax
from transformers import AutoModelForCausalLM
from trl import GRPOTrainer

from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
import tiny_agent

# peft asks transformers for an attribute by its old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
END = 2
QUESTION = tiny_agent.question()
scores = st.none() | st.floats(0, 1)


class Reached(Exception):
    """Training would begin now."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("numerics")
    tiny_agent.write_agent(folder / "agent")
    tiny_agent.write_tasks(folder / "tasks.jsonl")
    return folder


@pytest.fixture(scope="module")
def trainer(place: Path) -> Any:
    """The trainer of a run on Reagent-U, as it is when training begins; two groups of four rows an update."""
    reached: list[Any] = []

    def caught(self: Any, **_: Any) -> None:
        reached.append(self)
        raise Reached

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GRPOTrainer, "train", caught)
        config = tiny_agent.settings(place, rollout={"group": 2}, optimiser={"batch": 8})
        with pytest.raises(Reached):
            recipe.run(config, place / "out", tiny_agent.queue())
    (made,) = reached
    made.current_gradient_accumulation_steps = 1
    made.model.train()
    return made


@given(st.none() | st.floats(0, 1), scores, st.floats(0.01, 2))
def test_the_reward_is_a_sum_and_a_failed_judge_no_number(
    rule: float | None, score: float | None, weight: float
) -> None:
    reward = total_reward(rule, score, weight)
    if rule is None or score is None:
        assert reward is None
    else:
        assert reward == pytest.approx(float(np.dot([1.0, weight], [rule, score])))
    assert total_reward(rule, score, 0.0) == rule  # without a weight nobody needs the judge


@given(st.lists(st.none() | st.floats(-2, 2), min_size=1, max_size=16))
def test_advantages_are_those_of_the_pool(rewards: list[float | None]) -> None:
    known = np.array([reward for reward in rewards if reward is not None])
    expected = np.zeros(len(rewards))
    if len(known) > 1:
        there = [place for place, reward in enumerate(rewards) if reward is not None]
        expected[there] = (known - known.mean()) / (known.std(ddof=1) + 1e-4)
    np.testing.assert_allclose(pooled_advantages(rewards), expected, atol=1e-9)
    assert is_degenerate(rewards) == (len(known) < 2 or bool(np.ptp(known) < 1e-8))


@given(
    rule=st.floats(0, 1),
    said=st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda said: np.std(said, ddof=1) > 0.1),
    weights=st.tuples(st.floats(0.3, 2), st.floats(0.3, 2)),
)
def test_the_weight_of_the_judge_has_no_say_where_the_rule_gives_all_the_same(
    rule: float, said: list[float], weights: tuple[float, float]
) -> None:
    """Eq. 7 divides it out again: the judge alone moves such a group, and by as much as any other group is moved."""
    moved = [pooled_advantages([total_reward(rule, score, weight) for score in said]) for weight in weights]
    np.testing.assert_allclose(moved[0], moved[1], atol=0.02)
    assert np.std(moved[0], ddof=1) == pytest.approx(1.0, abs=0.01)


def row(stage: int, tokens: Tokens | None, reward: float | None) -> Row:
    if tokens is None:
        return Row(QUESTION, stage, None)
    return Row(QUESTION, stage, Rollout(tokens, Trajectory(answer="Answer: 42"), right=True), None, reward)


@st.composite
def attempts(draw: st.DrawFn) -> Tokens:
    """A prompt, and replies with what came between them."""
    token = st.integers(3, 200)
    prompt = draw(st.lists(token, min_size=1, max_size=5))
    ids = [*draw(st.lists(token, max_size=6)), draw(st.sampled_from([END, 7]))]
    own = draw(st.lists(st.integers(0, 1), min_size=len(ids), max_size=len(ids)))
    return Tokens(prompt, ids, own, ended=ids[-1] == END)


@st.composite
def updates(draw: st.DrawFn) -> list[Row]:
    """Two groups of two pairs, with judges that failed and revisions that were not made."""
    reward = st.none() | st.sampled_from([0.0, 0.2, 1.0, 1.3]) | st.floats(0, 1.3)
    rows = []
    for _ in range(4):
        rows.append(row(FIRST, draw(attempts()), draw(reward)))
        rows.append(row(REVISED, draw(st.none() | attempts()), draw(reward)))
    return rows


def batch_of(trainer: Any, rows: Sequence[Row], *, drop: bool = False) -> dict[str, Any]:
    """What TRL makes of the rows: padded ids, masks, advantages."""
    made = as_batch(rows, end=END, group=4, drop=drop, gather=list)
    trainer.rollout_func = lambda prompts, _: made
    batch: dict[str, Any] = trainer._generate_and_score_completions([{"prompt": "0/1"} for _ in rows])
    return batch


def own_logprobs(model: Any, tokens: Tokens, temperature: float) -> torch.Tensor:
    """Log-probabilities of all that follows a prompt, each row alone and unpadded, under its own context."""
    ids = torch.tensor([[*tokens.prompt, *tokens.ids]])
    logits = model(input_ids=ids).logits[0, len(tokens.prompt) - 1 : -1] / temperature
    return log_softmax(logits.float(), -1)[range(len(tokens.ids)), tokens.ids]


def reference_loss(
    model: Any,
    rows: Sequence[Row],
    *,
    loss: str,
    old: Any = None,
    beta: float = 0.0,
    unbiased: bool = True,
    start: Any = None,
    temperature: float = 0.7,
) -> torch.Tensor:
    """Eq. 7 to 9 row by row. `old` sampled the rows (by default the model itself), `start` is what beta holds on to."""
    pools = [[one.reward if one.rollout else None for one in rows[at : at + 4]] for at in range(0, len(rows), 4)]
    advantages = [value for pool in pools for value in pooled_advantages(pool)]
    sums, counts = [], []
    for one, advantage in zip(rows, advantages, strict=True):
        if one.rollout is None or one.reward is None:
            sums.append(torch.zeros(()))
            counts.append(0)
            continue
        tokens = one.rollout.tokens
        now = own_logprobs(model, tokens, temperature)
        before = now.detach() if old is None else own_logprobs(old, tokens, temperature).detach()
        ratio = (now - before).exp()
        per_token = -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage)
        if beta:
            away = own_logprobs(start, tokens, temperature).detach() - now
            weight = ratio if unbiased else 1.0  # with the ratio its gradient is that of the divergence
            per_token = per_token + beta * weight * (away.exp() - away - 1)
        mask = torch.tensor(tokens.own)
        sums.append((per_token * mask).sum())
        counts.append(sum(tokens.own))
    if loss == "dapo":
        return torch.stack(sums).sum() / max(1, sum(counts))
    return torch.stack([total / max(1, count) for total, count in zip(sums, counts, strict=True)]).mean()


def gradient(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    if loss.requires_grad:
        torch.autograd.backward(loss)
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for name, p in model.named_parameters()
    }


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], atol=1e-5, rtol=2e-3, msg=partial("{}: {}".format, name))


@cache
def plain(place: Path, number: int) -> Any:
    return AutoModelForCausalLM.from_pretrained(place, use_safetensors=True).train()


def plain_copy(trainer: Any, number: int = 0) -> Any:
    """The model that is trained, without what TRL did to its forward pass; one for each number."""
    copy = plain(Path(trainer.model.config._name_or_path), number)
    copy.load_state_dict(trainer.model.state_dict())
    return copy


@settings(max_examples=15)
@given(rows=updates(), loss=st.sampled_from(["grpo", "dapo"]))
def test_loss_and_gradient_of_random_updates(trainer: Any, rows: list[Row], loss: str) -> None:
    trainer.loss_type = loss
    batch = batch_of(trainer, rows)
    rewards = [one.reward if one.rollout else None for one in rows]
    expected = [value for at in (0, 4) for value in pooled_advantages(rewards[at : at + 4])]
    np.testing.assert_allclose(batch["advantages"].numpy(), expected, atol=2e-3, rtol=1e-4)
    ours = trainer._compute_loss(trainer.model, batch)
    model = plain_copy(trainer)
    theirs = reference_loss(model, rows, loss=loss)
    torch.testing.assert_close(ours.detach(), theirs.detach(), atol=1e-5, rtol=1e-4)
    assert_same(gradient(trainer.model, ours), gradient(model, theirs))


@settings(max_examples=10)
@given(rows=updates(), loss=st.sampled_from(["grpo", "dapo"]), unbiased=st.booleans(), seed=st.integers(0, 100))
def test_ratios_are_clipped_and_divergence_counted(
    trainer: Any, rows: list[Row], loss: str, unbiased: bool, seed: int
) -> None:
    sampler, start = plain_copy(trainer, 1), plain_copy(trainer, 2)
    moved = torch.Generator().manual_seed(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "num_iterations", 2)  # then the sampler's probabilities are kept
        patch.setattr(trainer, "beta", 0.1)
        patch.setattr(trainer.args, "use_bias_correction_kl", unbiased)
        patch.setattr(trainer, "ref_model", trainer.model)
        patch.setattr(trainer, "loss_type", loss)
        batch = batch_of(trainer, rows)
        try:
            with torch.no_grad():
                for parameter in trainer.model.parameters():
                    parameter.add_(0.01 * torch.randn(parameter.shape, generator=moved))
            model = plain_copy(trainer)
            ours = trainer._compute_loss(trainer.model, batch)
            theirs = reference_loss(model, rows, loss=loss, old=sampler, beta=0.1, unbiased=unbiased, start=start)
            torch.testing.assert_close(ours.detach(), theirs.detach(), atol=1e-4, rtol=1e-3)
            assert_same(gradient(trainer.model, ours), gradient(model, theirs))
        finally:
            trainer.model.load_state_dict(start.state_dict())


@settings(max_examples=15)
@given(rows=updates())
def test_only_own_tokens_of_scored_attempts_carry_loss(trainer: Any, rows: list[Row]) -> None:
    batch = batch_of(trainer, rows)
    mask = (batch["completion_mask"] * batch["tool_mask"]).tolist()
    for one, places in zip(rows, mask, strict=True):
        learnt = one.rollout.tokens.own if one.rollout and one.reward is not None else []
        assert places == learnt + [0] * (len(places) - len(learnt))


@settings(max_examples=15)
@given(rows=updates())
def test_equal_rewards_leave_the_mean_where_they_are_dropped(trainer: Any, rows: list[Row]) -> None:
    batch = batch_of(trainer, rows, drop=True)
    mask = batch["completion_mask"] * batch["tool_mask"]
    for at in (0, 4):
        group = rows[at : at + 4]
        learnt = [one.rollout.tokens.own if one.rollout and one.reward is not None else [0] for one in group]
        dead = is_degenerate([one.reward if one.rollout else None for one in group])
        assert mask[at : at + 4].sum().item() == (0 if dead else sum(map(sum, learnt)))
    assert batch["num_items_in_batch"].item() == mask.sum().item()


def test_a_rollout_that_was_cut_off_can_be_left_out(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cut, done = Tokens([5], [6, 7], [1, 1]), Tokens([5], [6, END], [1, 1], ended=True)
    full = Tokens([5], [6, END, 8], [1, 1, 0])  # no room for another turn after a tool's result
    rows = [row(place % 2, one, float(place)) for place, one in enumerate([cut, done, full, done])]
    rows += [row(FIRST, done, 1.0), row(REVISED, done, 0.0)] * 2
    kept = batch_of(trainer, rows)
    monkeypatch.setattr(trainer, "mask_truncated_completions", True)
    masked = batch_of(trainer, rows)
    counts = [(one["completion_mask"] * one["tool_mask"]).sum(1).tolist()[:4] for one in (kept, masked)]
    assert counts == [[2, 2, 2, 2], [0, 2, 0, 2]]
    torch.testing.assert_close(kept["advantages"], masked["advantages"])  # it still counts in the pool


def test_a_step_on_real_rollouts_moves_along_the_reference_gradient(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, sampled, found = list[Row](), list[list[int]](), dict[str, torch.Tensor]()
    make, step, generate = as_batch, GRPOTrainer.training_step, GRPOTrainer._generate_single_turn

    def kept(given: Sequence[Row], **options: Any) -> dict[str, Any]:
        rows.extend(given)
        return make(given, **options)

    def stepped(self: Any, model: Any, *args: Any, **options: Any) -> Any:
        step(self, model, *args, **options)
        found.update({name: p.grad.detach().clone() for name, p in model.named_parameters()})
        raise Reached

    def generated(self: Any, *args: Any, **options: Any) -> Any:
        ids, logprobs = generate(self, *args, **options)
        sampled.extend(ids)
        return ids, logprobs

    monkeypatch.setattr(recipe, "as_batch", kept)
    monkeypatch.setattr(recipe, "read_tasks", lambda config: tiny_agent.task_set(config))
    monkeypatch.setattr(GRPOTrainer, "training_step", stepped)
    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", generated)
    config = tiny_agent.settings(place, rollout={"tools": "own", "group": 2}, optimiser={"batch": 8}, max_tokens=512)
    with pytest.raises(Reached):
        recipe.run(config, tmp_path / "out", tiny_agent.queue())

    tokenizer = tiny_agent.tokenizer()
    assert len(rows) == 8
    assert any(one.rollout is not None and one.rollout.tool_calls for one in rows)
    own = [[token for token, mine in pairs(one) if mine] for one in rows]
    assert sorted(chain(*own)) == sorted(chain(*sampled))  # every sampled token, as it was sampled, and no other
    for place_in, one in enumerate(rows):
        assert one.rollout is not None
        assert one.verdict is not None
        assert one.verdict.score is not None
        assert one.reward == pytest.approx(float(one.rollout.right) + 0.3 * one.verdict.score)
        told = tokenizer.decode(one.rollout.tokens.prompt)
        others = tokenizer.decode([token for token, mine in pairs(one) if not mine])
        assert "a is 30" not in tokenizer.decode(own[place_in])
        assert ("a is 30" in others) == ("<tool_call>" in tokenizer.decode(own[place_in]))
        before = rows[place_in - 1].rollout
        revised = one.stage == REVISED
        assert (tiny_agent.CRITIQUE in told) == revised
        if revised and before is not None:  # o2 is sampled under (q, o1, c)
            first = tokenizer.decode(own[place_in - 1]).split("<|im_end|>")[0]
            asked = told.index(tiny_agent.QUESTION)
            assert asked < told.index(first, asked) < told.index("A reviewer", asked)
    model = AutoModelForCausalLM.from_pretrained(place / "agent").train()
    assert_same(found, gradient(model, reference_loss(model, rows, loss="grpo")))
    assert max(value.abs().max().item() for value in found.values()) > 1e-3


def pairs(one: Row) -> list[tuple[int, int]]:
    assert one.rollout is not None
    return list(zip(one.rollout.tokens.ids, one.rollout.tokens.own, strict=True))


def test_what_trl_gives_and_takes(trainer: Any) -> None:
    """Private and experimental parts of TRL that agent training builds on."""
    given_names = list(inspect.signature(GRPOTrainer._generate_single_turn).parameters)
    assert given_names[:5] == ["self", "prompt_ids", "images", "multimodal_fields", "num_generations"]
    ids, logprobs = trainer._generate_single_turn([[1, 5, 6], [1]], None, {}, 1)
    assert logprobs is None  # sampler and trainer are the same model
    assert [type(token) for reply in ids for token in reply] == [int] * sum(map(len, ids))
    assert all(END not in reply[:-1] and 1 <= len(reply) <= 8 for reply in ids)
    assert {END} == set(trainer.eos_token_ids)

    heard: dict[str, Any] = {}
    rewards = trainer.reward_funcs[0]
    trainer.reward_funcs[0] = lambda prompts, completions, **told: heard.update(told, prompts=prompts) or told[REWARD]
    rows = [row(place % 2, Tokens([5], [6, 7, END], [1, 0, 1]), float(place)) for place in range(7)]
    try:
        batch = batch_of(trainer, [*rows, row(REVISED, None, None)])
    finally:
        trainer.reward_funcs[0] = rewards
    assert heard[REWARD] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None]  # extra fields reach the reward function
    assert heard["prompts"] == ["0/1"] * 8
    assert callable(heard["log_metric"])
    assert "env_mask" not in heard  # taken as the mask of what is not the policy's own
    assert batch["tool_mask"][0].tolist() == [1, 0, 1]
    assert batch["advantages"][7].item() == 0.0  # None is left out of its group, and is no 0
    np.testing.assert_allclose(batch["advantages"][4:7].numpy(), [-1, 0, 1], atol=1e-3)

    trainer.rollout_func = lambda prompts, _: {"prompt_ids": [], "completion_ids": []}
    with pytest.raises(ValueError, match="logprobs"):
        trainer._generate(["0/1"])


def test_replies_keep_the_logprobs_of_another_engine() -> None:
    class Engine:
        eos_token_ids = (END, 9)
        accelerator = type("Alone", (), {"num_processes": 1})

        def _generate_single_turn(self, prompts: list[list[int]], *rest: Any) -> Any:
            assert rest == (None, {}, 1)
            return [[4, 9], [4, 5]], [[-0.5, -1.0], [-0.25, -2.0]]

    first, second = TrlGenerator(Engine(), END)([[1], [1]])
    assert (first.ids, first.ended, first.logprobs) == ([4, 9], True, [-0.5, -1.0])  # any end token of the model's
    assert (second.ended, second.logprobs) == (False, [-0.25, -2.0])
    tokens = Tokens([1])
    tokens.add(first)
    tokens.put_in([7, 8])
    tokens.add(second)
    assert tokens.logprobs == [-0.5, -1.0, 0.0, 0.0, -0.25, -2.0]
    batch = as_batch([row(FIRST, tokens, 1.0), row(REVISED, None, None)], end=END, group=2, drop=False, gather=list)
    assert batch["logprobs"] == [tokens.logprobs, [0.0]]


def test_figures_speak_of_the_rows_that_there_are() -> None:
    def judged(stage: int, *, right: bool, score: float | None) -> Row:
        status = VerdictStatus.UNPARSEABLE
        verdict = Verdict.failed(status, "?") if score is None else Verdict(status="scored", score=score, critique="c")
        tokens = Tokens([5], [6, END], [1, 1], ended=True, turns=1)
        rollout = Rollout(tokens, Trajectory(answer="x"), right)
        return Row(QUESTION, stage, rollout, verdict, total_reward(float(right), score, 0.3))

    rows = [
        *(judged(FIRST, right=False, score=0.2), judged(REVISED, right=True, score=0.9)),
        *(judged(FIRST, right=True, score=0.8), judged(REVISED, right=False, score=None)),
        *(judged(FIRST, right=True, score=None), Row(QUESTION, REVISED, None)),
    ]
    found = {name: float(np.mean(values)) for name, values in figures(rows).items() if values}
    assert found["first/right"] == pytest.approx(2 / 3)
    assert (found["revised/right"], found["revised/gain"]) == (0.5, 0.0)
    assert (found["revised/fixed"], found["revised/broken"]) == (0.5, 0.5)
    assert found["judge/failed"] == pytest.approx(2 / 5)
    assert found["judge/score_right"] == pytest.approx(0.85)
    assert found["judge/score_wrong"] == pytest.approx(0.2)
    assert found["first/reward"] == pytest.approx((0.06 + 1.24) / 2)
