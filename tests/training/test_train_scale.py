"""`reagent train plan`: its formulas against real models, states and caches, and what a user sees.

Exact: parameters, adapters, states, kept activations, cache, operations. Within 10%: the peak of a whole update.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Commands
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_training.cli_train import app
from reagent_training.scale import memory as sizes
from reagent_training.scale.cluster import Cluster, trained
from reagent_training.scale.divisions import divisions
from reagent_training.scale.hardware import DEVICES, Assumptions
from reagent_training.scale.launch import rollout_server
from reagent_training.scale.layout import best, weigh
from reagent_training.scale.memory import Training, layer_activations, training_memory
from reagent_training.scale.models import PRESETS, Architecture, architecture_of
from reagent_training.scale.throughput import Workload, forward, training, verdicts_of
from reagent_training.train.config import Lora
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

# the names that transformers deprecates are those that trl and torch still use
pytestmark = pytest.mark.filterwarnings("ignore:.*_checkpointing.* is deprecated:FutureWarning")

commands = Commands(app, "plan")
LENGTH = 96
SMALL = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


def read(config: Any, folder: Path) -> Architecture:
    config.save_pretrained(folder)
    return architecture_of(str(folder))


def made(config: Any, dtype: torch.dtype = torch.float32, attention: str = "sdpa") -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention).train()


def empty(config: Any) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def count(model: Any, *, trained_only: bool = False) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trained_only)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_parameters_of_the_real_models(name: str) -> None:
    one = PRESETS[name]
    kind = Qwen3Config if one.qk_norm else LlamaConfig
    config = kind(
        vocab_size=one.vocabulary,
        hidden_size=one.hidden,
        intermediate_size=one.intermediate,
        num_hidden_layers=one.layers,
        num_attention_heads=one.heads,
        num_key_value_heads=one.kv_heads,
        head_dim=one.head_dim,
        tie_word_embeddings=one.tied,
    )
    assert count(empty(config)) == one.parameters
    # as the model cards on the hub say
    published = {"135m": 134_515_008, "360m": 361_821_120, "4b": 4_022_468_096, "8b": 8_190_735_360}
    assert one.parameters == published.get(name, one.parameters)


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL),
        LlamaConfig(**SMALL, attention_bias=True, tie_word_embeddings=True),
        MistralConfig(**SMALL),
        Qwen2Config(**{**SMALL, "head_dim": 8}),
        Qwen3Config(**SMALL, attention_bias=True),
    ],
    ids=lambda config: config.model_type,
)
def test_a_folder_is_read_as_transformers_builds_it(config: Any, tmp_path: Path) -> None:
    assert read(config, tmp_path).parameters == count(empty(config))


@pytest.mark.parametrize(
    "lora", [Lora(), Lora(rank=5, first_layer=1), Lora(rank=2, targets=("q_proj", "v_proj", "down_proj"))]
)
def test_adapters_have_the_parameters_that_peft_makes(lora: Lora, tmp_path: Path) -> None:
    from peft import get_peft_model
    from reagent_training.train.weights import adapter_settings

    config = Qwen3Config(**SMALL)
    model = get_peft_model(made(config), adapter_settings(lora, config.num_hidden_layers))
    assert count(model, trained_only=True) == read(config, tmp_path).adapter(lora)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_on_one_device(dtype: torch.dtype, tmp_path: Path) -> None:
    config = LlamaConfig(**SMALL)
    model = made(config, dtype)
    optimiser = torch.optim.AdamW(model.parameters())
    model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    optimiser.step()
    how = Training(sharding="none", number=dtype.itemsize)
    plan = training_memory(read(config, tmp_path), how)
    assert plan.weights == sum(p.nbytes for p in model.parameters())
    assert plan.gradients == sum(p.grad.nbytes for p in model.parameters())
    assert plan.moments == moments_of(optimiser)


def moments_of(optimiser: torch.optim.Optimizer, local: Callable[[Any], Any] = lambda value: value) -> int:
    kept = (value for state in optimiser.state.values() for name, value in state.items() if name != "step")
    return sum(local(value).nbytes for value in kept)


@pytest.fixture
def eight_ranks() -> Iterator[Any]:
    """This process as the first of eight that do not exist: collectives return at once."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=8)
    yield init_device_mesh("cpu", (8,))
    dist.destroy_process_group()


def test_states_of_fsdp2_on_eight_devices(eight_ranks: Any, tmp_path: Path) -> None:
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    config = LlamaConfig(**SMALL)
    model = made(config)
    half = torch.bfloat16
    how: dict[str, Any] = {"mesh": eight_ranks, "mp_policy": MixedPrecisionPolicy(half, half, half)}
    for module in (*model.model.layers, model.model.embed_tokens, model):
        fully_shard(module, **how)
    optimiser = torch.optim.AdamW(model.parameters())
    model(input_ids=torch.ones(1, 4, dtype=torch.long), use_cache=False).logits.float().sum().backward()
    optimiser.step()
    plan = training_memory(read(config, tmp_path), Training(devices=8))
    assert plan.weights == sum(p.to_local().nbytes for p in model.parameters())
    assert plan.gradients == sum(p.grad.to_local().nbytes for p in model.parameters())
    assert plan.moments == moments_of(optimiser, lambda value: value.to_local())


def kept_for_backward(model: Any, rows: torch.Tensor, mask: torch.Tensor) -> int:
    """Bytes of the storages that autograd keeps, the weights' own left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        if value.untyped_storage().data_ptr() not in own:
            kept[value.untyped_storage().data_ptr()] = value.untyped_storage()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        body = model.get_base_model().model if hasattr(model, "get_base_model") else model.model
        result = body(input_ids=rows, attention_mask=mask, use_cache=False)
    assert result.last_hidden_state.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen3Config])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("lora", [None, Lora(rank=4)], ids=["all", "lora"])
def test_a_layer_keeps_what_the_formula_says(kind: Any, padded: bool, lora: Lora | None, tmp_path: Path) -> None:
    """A layer more keeps exactly A more, with 16-bit numbers and SDPA; under LoRA also 16-bit copies of its adapter."""
    from peft import get_peft_model
    from reagent_training.train.weights import adapter_settings

    rows, mask = torch.ones(2, LENGTH, dtype=torch.long), torch.ones(2, LENGTH, dtype=torch.long)
    if padded:
        mask[0, :7] = 0
    found = []
    for layers in (1, 2):
        config = kind(**{**SMALL, "num_hidden_layers": layers})
        model = made(config, torch.bfloat16)
        if lora is not None:
            model = get_peft_model(model, adapter_settings(lora, layers))
            model.enable_input_require_grads()
        with torch.autocast("cpu", torch.bfloat16) if lora else contextlib.nullcontext():
            found.append(kept_for_backward(model, rows, mask))
    shape = read(config, tmp_path)
    copies = 2 * shape.adapter(lora) // 2 if lora else 0
    how = Training(sharding="none", lora=lora, longest=LENGTH, batch=2, padded=padded)
    assert found[1] - found[0] == layer_activations(shape, how) * 2 * LENGTH + copies


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_peak_of_an_update(checkpointing: bool, tmp_path: Path) -> None:
    """All storages of two batches and an optimiser's step, the head left out: within 10% of the formula."""
    from torch.distributed._tools.mem_tracker import MemTracker

    config, dtype = LlamaConfig(**SMALL), torch.bfloat16
    model, length = made(config, dtype), 256
    model.lm_head.requires_grad_(False)
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    optimiser = torch.optim.AdamW(model.parameters())
    tracker = MemTracker()
    tracker.track_external(model, optimiser)
    with tracker, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            for _ in range(2):
                tracker.reset_mod_stats()
                hidden = model.model(input_ids=torch.ones(1, length, dtype=torch.long), use_cache=False)
                hidden.last_hidden_state.sum().backward()
                del hidden
            optimiser.step()
            optimiser.zero_grad()
    shape = read(config, tmp_path)
    how = Training(
        sharding="none", number=dtype.itemsize, checkpointing=checkpointing, longest=length, scored=1, padded=False
    )
    plan = training_memory(shape, how)
    frozen = 3 * shape.head * dtype.itemsize  # gradient and moments of the head, which is not trained here
    layers = sizes._in_a_layer(shape, how, layer_activations(shape, how))
    peak = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    assert plan.total - plan.working + layers - frozen == pytest.approx(peak, rel=0.1)


def test_trl_keeps_no_logits_but_what_the_formula_counts(tmp_path: Path) -> None:
    """Beyond a tile, a scored token costs a copy of its hidden state and two gradients, and not a row of logits."""
    from torch.distributed._tools.mem_tracker import MemTracker
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction

    shape = read(LlamaConfig(**SMALL | {"vocab_size": 256}), tmp_path)
    lengths = (4_096, 6_144)
    peaks = []
    for scored in lengths:
        weight = torch.randn(shape.vocabulary, shape.hidden, dtype=torch.bfloat16, requires_grad=True)
        tracker = MemTracker()
        with tracker:
            hidden = torch.randn(scored, shape.hidden, dtype=torch.bfloat16, requires_grad=True)
            targets = torch.zeros(scored, dtype=torch.long)
            found = ChunkedLogProbFunction.apply(hidden, weight, None, targets, 1.0, 32_768, None, 1.0, ("entropy",))
            found[0].sum().backward()
        peaks.append(tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"])
    each = (peaks[1] - peaks[0]) / 2_048
    said = [sizes._at_the_head(shape, Training(sharding="none", scored=n)) for n in lengths]
    figures = 8 + 4 * 12  # the target, and numbers of the running sums: not in the formula
    rate = (said[1] - said[0]) / 2_048
    # in torch alone tiles take several copies, and the peak comes before the last copy of the gradient
    assert rate - 2 * shape.hidden <= each <= rate + figures
    assert each < 2 * shape.vocabulary


def test_cache_bytes_are_those_of_a_real_cache(tmp_path: Path) -> None:
    config = Qwen3Config(**SMALL)
    with torch.no_grad():
        cache = made(config, torch.bfloat16)(input_ids=torch.ones(1, LENGTH, dtype=torch.long)).past_key_values
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert held == LENGTH * read(config, tmp_path).cache()
    assert PRESETS["8b"].cache() == 147_456


@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_are_those_that_torch_counts(checkpointing: bool, tmp_path: Path) -> None:
    config = LlamaConfig(**SMALL)
    shape, model = read(config, tmp_path), made(config, attention="eager")
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    with FlopCounterMode(display=False) as ahead:
        logits = model(input_ids=torch.ones(1, LENGTH, dtype=torch.long), use_cache=False).logits
    with FlopCounterMode(display=False) as back:
        logits.sum().backward()
    assert ahead.get_total_flops() == forward(shape, LENGTH, LENGTH, masked=True)
    how = Training(checkpointing=checkpointing, longest=LENGTH, batch=1)
    said = training(shape, how, LENGTH, LENGTH, before=False) - 2 * shape.head * LENGTH  # no head anew in this loss
    spared = 2 * LENGTH * config.num_hidden_layers * config.hidden_size * config.intermediate_size * checkpointing
    # torch ends the second forward pass of a layer before its last matrix, whose output nobody needs
    assert ahead.get_total_flops() + back.get_total_flops() == said - spared


def test_operations_under_an_adapter(tmp_path: Path) -> None:
    from peft import get_peft_model
    from reagent_training.train.weights import adapter_settings

    config, lora = LlamaConfig(**SMALL), Lora(rank=4)
    model = get_peft_model(made(config, attention="eager"), adapter_settings(lora, config.num_hidden_layers))
    model.enable_input_require_grads()
    with FlopCounterMode(display=False) as counted:
        model(input_ids=torch.ones(1, LENGTH, dtype=torch.long), use_cache=False).logits.sum().backward()
    shape = read(config, tmp_path)
    how = Training(lora=lora, checkpointing=False, longest=LENGTH, batch=1)
    said = training(shape, how, LENGTH, LENGTH, before=False) - 2 * shape.head * LENGTH
    assert counted.get_total_flops() == pytest.approx(said, rel=0.01)


HOW = st.builds(
    Training,
    devices=st.integers(1, 64),
    sharding=st.sampled_from(["none", "fsdp2", "zero3"]),
    lora=st.none() | st.builds(Lora, rank=st.integers(1, 64)),
    checkpointing=st.booleans(),
    batch=st.integers(1, 4),
    longest=st.integers(64, 65_536),
    scored=st.integers(1, 64),
    padded=st.booleans(),
)
SHAPES = st.sampled_from(list(PRESETS.values()))


@settings(max_examples=40)
@given(SHAPES, HOW)
def test_more_of_anything_never_needs_less_memory_and_more_devices_never_more(
    model: Architecture, how: Training
) -> None:
    def total(**changes: Any) -> float:
        return training_memory(model, how.model_copy(update=changes)).total

    here = total()
    assert total(devices=how.devices + 1) <= here
    assert total(longest=how.longest + 1) >= here
    assert total(batch=how.batch + 1) >= here
    assert total(scored=how.scored + 1) >= here
    assert total(padded=True) >= total(padded=False)
    assert total(reference=True) >= here


@settings(max_examples=40)
@given(SHAPES, st.integers(1, 64), st.integers(256, 8_192))
def test_longer_rows_checkpoint_to_less(model: Architecture, devices: int, longest: int) -> None:
    how = Training(devices=devices, longest=longest, checkpointing=True)
    assert (
        training_memory(model, how).total
        <= training_memory(model, how.model_copy(update={"checkpointing": False})).total
    )


@settings(max_examples=25)
@given(SHAPES, st.integers(2, 8), st.integers(1, 3), st.booleans(), st.sampled_from([1, 2]))
def test_every_division_keeps_the_rules(
    model: Architecture, gpus: int, nodes: int, judged: bool, attempts: int
) -> None:
    cluster = Cluster(
        model=model,
        judge=model if judged else None,
        device=DEVICES["h200"],
        gpus=gpus,
        nodes=nodes,
        how=Training(batch=attempts),
        work=Workload(attempts=attempts, judged=judged),
    )
    for one in divisions(cluster):
        own = one.rollouts if one.mode == "server" else 0
        assert one.training + own + one.judging <= gpus * nodes
        assert (one.judging > 0) == judged
        assert one.judging % one.judge_size == 0
        assert nodes == 1 or one.training % gpus == 0
        rows = one.prompts * cluster.work.group * attempts
        assert rows % (one.training * attempts) == 0
        assert abs(one.prompts - cluster.work.prompts) <= cluster.work.prompts / 4


def eight(**changes: Any) -> Cluster:
    given_: dict[str, Any] = {
        "model": PRESETS["8b"],
        "judge": PRESETS["8b"],
        "device": DEVICES["h100"],
        "gpus": 8,
        "how": Training(batch=2),
        "work": Workload(),
    }
    return Cluster(**(given_ | changes))


def test_the_best_division_fits_and_is_the_fastest_that_does() -> None:
    cluster = eight()
    chosen = best(cluster)
    assert not chosen.problems
    assert chosen.need <= cluster.usable
    others = [weigh(cluster, one) for one in divisions(cluster)]
    rates = [one.division.prompts / one.seconds for one in others if not one.problems]
    assert chosen.division.prompts / chosen.seconds == max(rates)


def test_faster_devices_and_more_machines_take_less_time() -> None:
    def rate(**changes: Any) -> float:
        found = best(eight(**changes))
        return found.division.prompts / found.seconds

    assert rate(nodes=2) > rate()
    assert rate(device=DEVICES["h200"]) > rate() > rate(device=DEVICES["a100"], how=Training(batch=2, lora=Lora()))
    assert rate(guess=Assumptions(mfu=0.5)) > rate()
    assert rate(work=Workload(padded=False)) > rate()


def test_what_rows_are_padded_to() -> None:
    """A first attempt stands beside revisions: it has their long prompt, and they its long rollout."""
    work = Workload(longest=1_000, prompt_tokens=100, rollout_tokens=200)
    assert work.width() == 1_900
    assert work.model_copy(update={"attempts": 1}).width() == 1_000
    assert work.model_copy(update={"padded": False}).width() == 1_000
    assert trained(eight(work=work), best(eight(work=work)).division).longest == 1_900
    assert verdicts_of(work, 0).context < 1_000 + 600


def test_a_rollout_server_starts_as_trl_would_start_it() -> None:
    from trl.scripts.vllm_serve import ScriptArguments, build_command

    cluster = eight()
    layout = best(cluster, mode="server")
    words = shlex.split(rollout_server(cluster, layout))
    ours = words[words.index("serve") + 1 :]
    given_ = ScriptArguments(
        model=cluster.model.base,
        host="127.0.0.1",
        tensor_parallel_size=layout.division.rollouts,
        max_model_len=cluster.work.longest,
        enable_prefix_caching=True,
    )
    theirs = build_command(given_)
    assert set(ours) <= set(theirs)
    imposed = theirs[theirs.index("--weight-transfer-config") :]
    assert ours[-len(imposed) :] == imposed
    assert "VLLM_SERVER_DEV_MODE=1" in words


@pytest.mark.parametrize("name", ["fsdp", "zero3"])
def test_accelerate_reads_its_files(name: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    folder = Path(__file__).parents[2] / "training" / "recipes"
    read_ = load_config_from_file(str(folder / f"{name}.yaml"))
    assert (read_.num_processes, read_.mixed_precision) == (8, "bf16")


def test_a_plan_as_people_and_programs_read_it() -> None:
    told = commands.run("--model", "8b", "--gpus", 8).stdout
    for part in ("Qwen/Qwen3-8B on 8 x H100", "fits", "(estimate)", "no GPU was measured", "reagent judge serve"):
        assert part in " ".join(told.split())
    plan = json.loads(commands.run("--model", "8b", "--gpus", 8, "--json").stdout)
    assert plan["problems"] == plan["changes"] == []
    assert plan["need_gb"] <= plan["usable_gb"]
    assert plan["hours"] == pytest.approx(300 * plan["seconds"] / 3600)
    assert plan["seconds"] == pytest.approx(sum(phase["seconds"] for phase in plan["phases"]))
    assert plan["estimated"]
    assert set(plan["commands"]) == {"judge", "training"}


def test_settings_of_a_plan_make_a_recipe() -> None:
    """What the command line sets is known to the recipe, and its batches are whole."""
    from reagent_training.agent_rl.config import AgentConfig

    plan = json.loads(commands.run("--mode", "server", "--nodes", 2, "--json").stdout)
    recipe: dict[str, Any] = {
        "recipe": "reagent-u",
        "base": plan["base"],
        "name": "agent",
        "tasks": [{"path": "tasks.jsonl"}],
    }
    for name, value in plan["settings"].items():
        inner = recipe
        for part in name.split(".")[:-1]:
            inner = inner.setdefault(part, {})
        inner[name.split(".")[-1]] = value
    config = AgentConfig.model_validate(recipe)
    division = plan["layout"]["division"]
    rows = config.optimiser.batch * config.optimiser.accumulate * division["training"]
    assert rows == division["prompts"] * config.replies
    assert config.rollout.vllm is not None
    assert config.rollout.vllm.mode == "server"


def test_a_file_of_settings_is_gone_by(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(
        "recipe: reagent-r\nbase: Qwen/Qwen3-4B\nmax_tokens: 8192\nlora: {rank: 8}\n"
        "rollout: {group: 4, steps: 5}\noptimiser: {batch: 4, max_steps: 50}\n"
    )
    plan = json.loads(commands.run("--recipe", file, "--gpus", 4, "--json").stdout)
    assert (plan["recipe"], plan["base"], plan["updates"]) == ("reagent-r", "Qwen/Qwen3-4B", 50)
    assert plan["trained"] == PRESETS["4b"].adapter(Lora(rank=8))
    assert plan["settings"]["rollout.group"] == "4"
    assert str(file) in plan["commands"]["training"]


def test_what_does_not_fit_is_told_with_what_would() -> None:
    plan = json.loads(commands.run("--gpus", 8, "--max-tokens", 32_768, "--json").stdout)
    assert "are usable" in plan["problems"][0]
    assert any("--no-padding" in change for change in plan["changes"])
    fitting = json.loads(commands.run("--gpus", 8, "--max-tokens", 32_768, "--no-padding", "--json").stdout)
    assert fitting["problems"] == []


def test_bad_wishes_are_one_line(tmp_path: Path) -> None:
    assert "name one of 135m" in commands.refused("--model", "9b")
    assert "there are h100" in commands.refused("--gpu", "b300")
    assert "there is no nowhere.yaml" in commands.refused("--recipe", "nowhere.yaml")
    assert "must be even" in commands.refused("--batch", 1)
    assert "leaves no room" in commands.refused("--prompt-tokens", 20_000)
    assert "--judge-model none" in commands.refused("--gpus", 1)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    assert "'mamba'" in commands.refused("--model", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 64}))
    assert "layers" in commands.refused("--model", tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert "cannot read" in commands.refused("--model", tmp_path)
    for text, told in (
        ("recipe: rrm-sft\n", "recipe:"),
        ("base: x\n", "names no recipe"),
        ("a: [", "is not YAML"),
        ("recipe: reagent-u\nlora: {rank: 0}\n", "lora.rank"),
    ):
        (tmp_path / "agent.yaml").write_text(text)
        assert told in commands.refused("--recipe", tmp_path / "agent.yaml")


def test_a_plan_needs_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom reagent_training.scale.command import plan\nplan(as_json=True)\n"
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
