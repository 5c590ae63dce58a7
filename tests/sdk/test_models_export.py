from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_llama import (
    DIGITS,
    PROMPTS,
    SEVEN,
    Engine,
    Reference,
    differences,
    write_adapter,
    write_tiny,
)

from reagent_sdk.cli import main
from reagent_sdk.errors import InvalidInput, ReagentError, WeightsUnavailable
from reagent_sdk.models import Manifest, read_manifest, write_manifest
from reagent_sdk.models.export import export
from reagent_sdk.models.gguf_llama import permuted, rope_factors, unpermuted
from reagent_sdk.models.llama import read_config

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft over transformers

CLOSE, FAR = 0.05, 0.3
"""Nats. The engine keeps keys and values as float16, which moves log-probabilities of these weights by up to 0.031."""

REAL_PROMPTS = ["What is the capital of France?", "Add 1234 and 5678.\n\n Then stop: déjà vu."]
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture(scope="module")
def tiny_gguf(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf", numbers="f32").path


@pytest.fixture(scope="module")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tiny, tmp_path_factory.mktemp("adapter") / "lora")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.fixture
def lora(adapter: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter, tmp_path / "lora"))


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")


def metadata(gguf: Path) -> dict[str, Any]:
    fields = GGUFReader(gguf).fields
    return {name: field.contents() for name, field in fields.items() if not name.startswith("GGUF.")}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"attention_bias": True, "mlp_bias": True},
        {"num_key_value_heads": 4, "head_dim": 32},
        {"rope_parameters": LLAMA3},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 321.0}},
        {"cut": DIGITS},
    ],
    ids=["untied", "tied", "biases", "own head size", "llama3 rope", "rope base", "digits"],
)
def test_the_engine_reads_and_computes_what_transformers_does(changes: dict[str, Any], tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny", **changes)
    done = export(folder, tmp_path / "tiny.gguf", numbers="f32")
    assert (done.kind, done.name) == ("model", "tiny")
    assert max(differences(Engine(done.path), Reference(folder))) < CLOSE


def test_scaled_frequencies_matter_to_the_comparison(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny", rope_parameters=LLAMA3)
    plain = write_tiny(tmp_path / "plain", rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    gguf = export(plain, tmp_path / "plain.gguf", numbers="f32").path
    assert max(differences(Engine(gguf), Reference(folder))) > FAR


def test_frequency_factors_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    LlamaConfig(hidden_size=64, num_attention_heads=4, rope_parameters=LLAMA3).save_pretrained(tmp_path)
    config = read_config(tmp_path)
    assert config.scaling is not None
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](LlamaConfig.from_pretrained(tmp_path), torch.device("cpu"))
    plain = 500.0 ** -(np.arange(0, 16, 2) / 16)
    np.testing.assert_allclose(plain / rope_factors(config.scaling, config.shape), scaled.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("numbers", "gap"), [("f16", 0.1), ("bf16", 0.6), ("q8_0", 2.0)])
def test_smaller_numbers_cost_little(tiny: Path, tiny_gguf: Path, tmp_path: Path, numbers: Any, gap: float) -> None:
    done = export(tiny, tmp_path / "small.gguf", numbers=numbers)
    assert done.bytes < 0.8 * tiny_gguf.stat().st_size
    assert max(differences(Engine(done.path), Reference(tiny))[::2]) < gap


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_stored_halves_arrive_unchanged(copy: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    file = copy / "model.safetensors"
    stored = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    save_file(stored, file, metadata={"format": "pt"})
    done = export(copy, tmp_path / "half.gguf", numbers="f32")
    found = {tensor.name: tensor.data for tensor in GGUFReader(done.path).tensors}
    np.testing.assert_array_equal(found["output.weight"], stored["lm_head.weight"].float().numpy())


def test_shards_are_one_model(copy: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(copy)
    (copy / "model.safetensors").unlink()
    model.save_pretrained(copy, max_shard_size="100KB")
    assert len(list(copy.glob("*.safetensors"))) > 2
    done = export(copy, tmp_path / "tiny.gguf", numbers="f32")
    assert [(one.name, one.data.tobytes()) for one in GGUFReader(done.path).tensors] == [
        (one.name, one.data.tobytes()) for one in GGUFReader(tiny_gguf).tensors
    ]


def turned(rows: np.ndarray, angles: np.ndarray, *, neighbours: bool) -> np.ndarray:
    """Rotary embedding of one head, (head size,): pairs of neighbours, or of rows that are half a head apart."""
    pairs = rows.reshape(-1, 2) if neighbours else rows.reshape(2, -1).T
    spun = (pairs[:, 0] + 1j * pairs[:, 1]) * np.exp(1j * angles)
    pairs = np.stack([spun.real, spun.imag], axis=1)
    return pairs.reshape(-1) if neighbours else pairs.T.reshape(-1)


@given(st.integers(1, 4), st.integers(1, 8), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_permuted_rows_attend_as_before(heads: int, half: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    queries, keys = random.standard_normal((2, heads * half * 2, width)).astype(np.float32)
    seen, angles = random.standard_normal((2, width)), random.uniform(0, 6, (2, half))
    for head in range(heads):
        rows = slice(head * half * 2, (head + 1) * half * 2)
        scores = [
            turned(q[rows] @ seen[0], angles[0], neighbours=neighbours)
            @ turned(k[rows] @ seen[1], angles[1], neighbours=neighbours)
            for q, k, neighbours in [(queries, keys, False), (permuted(queries, heads), permuted(keys, heads), True)]
        ]
        assert scores[0] == pytest.approx(scores[1], abs=1e-9)
    np.testing.assert_array_equal(unpermuted(permuted(queries, heads), heads), queries)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_rslora": True},
        {"alpha_pattern": {"k_proj": 3, "v_proj": 9}, "rank_pattern": {"q_proj": 2, r"layers\.1\.mlp\.down_proj": 6}},
        {"use_rslora": True, "rank_pattern": {"o_proj": 2}},
    ],
    ids=["plain", "rslora", "patterns", "rslora with a pattern"],
)
def test_an_adapter_does_in_the_engine_what_it_does_in_peft(
    changes: dict[str, Any], tiny: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    folder = write_adapter(tiny, tmp_path / "lora", **changes)
    done = export(folder, tmp_path / "lora.gguf", numbers="f32")
    assert (done.kind, done.tensors) == ("adapter", 2 * 2 * len(SEVEN))
    adapted = Reference(tiny, folder)
    assert max(differences(Engine(tiny_gguf, done.path), adapted)) < CLOSE
    assert max(differences(Engine(tiny_gguf), adapted)) > FAR


def test_an_adapter_says_what_it_is(adapter: Path, tmp_path: Path) -> None:
    told = metadata(export(adapter, tmp_path / "lora.gguf").path)
    assert told == {
        "general.architecture": "llama",
        "general.name": "lora",
        "general.type": "adapter",
        "general.file_type": 1,
        "adapter.type": "lora",
        "adapter.lora.alpha": 6.0,
    }
    shapes = {tensor.name: tensor.data.shape for tensor in GGUFReader(tmp_path / "lora.gguf").tensors}
    assert shapes["blk.1.attn_k.weight.lora_a"] == (4, 64)
    assert shapes["blk.1.attn_k.weight.lora_b"] == (32, 4)


def test_an_adapter_of_zeros_changes_nothing(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    folder = write_adapter(tiny, tmp_path / "lora", strength=0.0)
    zero = Engine(tiny_gguf, export(folder, tmp_path / "lora.gguf").path)
    bare = Engine(tiny_gguf)
    for text in PROMPTS:
        ids = bare.prompt(text)
        assert zero.next(ids) == bare.next(ids)


def test_a_fine_tune_takes_over_what_its_base_says(copy: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights = {name: tensor + 0.05 * torch.randn_like(tensor) for name, tensor in weights.items()}
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    reference = Reference(copy)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (copy / name).unlink()
    done = export(copy, tmp_path / "tuned.gguf", numbers="f32", base=tiny_gguf)
    assert metadata(done.path) == metadata(tiny_gguf) | {"general.name": "copy"}
    assert max(differences(Engine(done.path), reference)) < CLOSE


def test_the_card_goes_along(copy: Path, lora: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    judge = Manifest(name="agent-rrm-tiny", role="judge", prompt_version="1", files=("adapter_model.safetensors",))
    write_manifest(lora, judge)
    out = tmp_path / "out"
    for name in ("judge.gguf", "small.gguf", "judge.gguf"):
        export(lora, out / name, base=tiny_gguf)
    assert read_manifest(out / "judge.gguf") == judge.model_copy(update={"files": ("small.gguf", "judge.gguf")})
    export(lora, lora / "judge.gguf")
    found = read_manifest(lora)
    assert found is not None
    assert found.files == ("adapter_model.safetensors", "judge.gguf")
    write_manifest(copy, Manifest(name="other", role="agent"))
    for folder, target in ((copy, out / "new.gguf"), (tiny_gguf.parent, out / "judge.gguf")):
        with pytest.raises(InvalidInput, match=r"reagent\.json of other weights|holds no config"):
            export(folder, target)


def test_an_interrupted_export_leaves_what_was_there(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "tiny.gguf"
    target.parent.mkdir()
    target.write_bytes(b"old")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tiny, target, progress=stop)
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [("tiny.gguf", b"old")]


def pickled(folder: Path, stem: str) -> None:
    (folder / f"{stem}.safetensors").rename(folder / f"{stem}.bin")


def cut_off(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def without(folder: Path, name: str) -> None:
    file = folder / "model.safetensors"
    kept = {key: tensor for key, tensor in load_file(file).items() if key != name}
    save_file(kept, file, metadata={"format": "pt"})


def with_value(folder: Path, value: float) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["lm_head.weight"][3, 3] = value
    save_file(weights, file, metadata={"format": "pt"})


def split_badly(folder: Path, shard: str) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"lm_head.weight": "model-1.safetensors", "model.norm.weight": shard}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def tokenizer_of(folder: Path, **changes: Any) -> None:
    edit(folder / "tokenizer.json", **changes)


QWEN_CUT = {"type": "Split", "pattern": {"Regex": r"\s"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda at: pickled(at, "model"), "holds pickled weights"),
        (cut_off, r"model\.safetensors is damaged or incomplete"),
        (lambda at: (at / "model.safetensors").write_bytes(b"\xff" * 64), "is damaged or incomplete"),
        (lambda at: without(at, "model.layers.1.mlp.up_proj.weight"), r"layers\.1\.mlp\.up_proj\.weight is missing"),
        (lambda at: with_value(at, float("nan")), "numbers that are not finite"),
        (lambda at: with_value(at, 1e6), "holds 1e\\+06, which f16 cannot; use bf16 or f32"),
        (lambda at: split_badly(at, "model-2.safetensors"), r"incomplete: model-2\.safetensors is missing"),
        (lambda at: split_badly(at, "../model.safetensors"), "does not say which file holds which tensor"),
        (lambda at: edit(at / "config.json", model_type="qwen2"), "of type qwen2; only llama can be exported"),
        (lambda at: edit(at / "config.json", quantization_config={"bits": 4}), "the weights are quantised"),
        (lambda at: edit(at / "config.json", hidden_act="gelu"), "hidden_act"),
        (lambda at: edit(at / "config.json", num_hidden_layers=1), r"holds model\.layers\.1\."),
        (lambda at: edit(at / "config.json", intermediate_size=97), r"is of shape .* config\.json says"),
        (lambda at: edit(at / "config.json", rope_parameters={"rope_type": "yarn"}), "embeddings of type yarn"),
        (lambda at: (at / "config.json").write_text("{"), "is not JSON"),
        (lambda at: (at / "config.json").unlink(), "holds no config.json"),
        (lambda at: (at / "tokenizer.json").unlink(), "holds no tokenizer.json; name the GGUF .* with --from"),
        (lambda at: tokenizer_of(at, model={"type": "Unigram", "vocab": []}), "not a byte-level BPE .* with --from"),
        (lambda at: tokenizer_of(at, pre_tokenizer=QWEN_CUT), "not a byte-level BPE .* with --from"),
        (lambda at: tokenizer_of(at, normalizer={"type": "NFC"}), "not a byte-level BPE .* with --from"),
    ],
)
def test_weights_that_cannot_be_exported(
    copy: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(copy)
    with pytest.raises((InvalidInput, WeightsUnavailable), match=message) as caught:
        export(copy, tmp_path / "out" / "x.gguf")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


def renamed(folder: Path, old: str, new: str) -> None:
    file = folder / "adapter_model.safetensors"
    save_file({key.replace(old, new): tensor for key, tensor in load_file(file).items()}, file)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda at: pickled(at, "adapter_model"), "holds pickled weights"),
        (lambda at: edit(at / "adapter_config.json", use_dora=True), "cannot hold DoRA; merge the adapter"),
        (lambda at: edit(at / "adapter_config.json", modules_to_save=["lm_head"]), "cannot hold whole modules"),
        (lambda at: edit(at / "adapter_config.json", bias="all"), "cannot hold biases"),
        (lambda at: edit(at / "adapter_config.json", init_lora_weights="pissa"), "has changed its base"),
        (lambda at: edit(at / "adapter_config.json", peft_type="IA3"), "peft_type: Input should be 'LORA'"),
        (lambda at: edit(at / "adapter_config.json", lora_alpha=0), "lora_alpha"),
        (lambda at: edit(at / "adapter_config.json", alpha_pattern={"(": 3}), "is not a regular expression"),
        (lambda at: edit(at / "adapter_config.json", base_model_name_or_path="a/b"), "'a/b' is not on this machine"),
        (lambda at: renamed(at, "layers.1", "layers.7"), "only LoRA on the seven projections"),
        (lambda at: renamed(at, "lora_B", "lora_magnitude_vector"), "only LoRA on the seven projections"),
        (lambda at: renamed(at, "0.mlp.up_proj.lora_B", "0.mlp.gate_proj.lora_B"), "only one of the two matrices"),
        (lambda at: renamed(at, "0.mlp.up_proj", "0.mlp.down_proj"), "it was trained on another model"),
    ],
)
def test_adapters_that_cannot_be_exported(
    lora: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(lora)
    with pytest.raises(InvalidInput, match=message) as caught:
        export(lora, tmp_path / "out" / "x.gguf")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 400}, "is no fine-tune of .*: vocab 400 against"),
        ({"num_key_value_heads": 4}, "kv_heads 4 against 2"),
        ({"rope_parameters": {"rope_theta": 7.0, "rope_type": "default"}}, "theta 7 against 10000"),
        ({"rope_parameters": LLAMA3 | {"rope_theta": 10000.0}}, "only one of them scales"),
        ({"cut": DIGITS}, "the token .* has another id"),
    ],
)
def test_a_base_that_the_weights_do_not_come_from(
    tiny_gguf: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = write_tiny(tmp_path / "other", **changes)
    with pytest.raises(InvalidInput, match=message):
        export(folder, tmp_path / "out" / "x.gguf", base=tiny_gguf)
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("size", [0, 3, 40, 5_000])
def test_a_base_that_is_cut_off(tiny: Path, tiny_gguf: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "base.gguf").write_bytes(tiny_gguf.read_bytes()[:size])
    with pytest.raises(ReagentError) as caught:
        export(tiny, tmp_path / "out" / "x.gguf", base=tmp_path / "base.gguf")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


def test_the_command(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "tiny.gguf"
    assert main(["models", "export", str(tiny), str(target), "--gguf", "--type", "q8_0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {
        "path": str(target),
        "kind": "model",
        "name": "tiny",
        "type": "q8_0",
        "tensors": 21,
        "bytes": target.stat().st_size,
    }
    assert main(["models", "export", str(tiny), str(target), "--from", "smollm2-135m-instuct"]) == 2
    assert "did you mean" in capsys.readouterr().err
    assert main(["models", "export", str(tiny), str(tmp_path / "tiny.bin")]) == 2
    assert capsys.readouterr().err.endswith("has to be the name of a file that ends with .gguf\n")


@pytest.mark.real_model
def test_the_small_model_comes_back_from_a_round_trip(smollm: Path, smollm_hf: Path, tmp_path: Path) -> None:
    done = export(smollm_hf, tmp_path / "again.gguf", numbers="f32", base="smollm2-135m-instruct")
    engine = Engine(done.path)
    found = differences(engine, Reference(smollm_hf), REAL_PROMPTS)
    assert max(found) < CLOSE
    assert max(found[1::2]) == 0  # the same reply, token by token
    lora = write_adapter(smollm_hf, tmp_path / "lora", strength=0.05, r=8)
    adapter = export(lora, tmp_path / "lora.gguf", numbers="f32", base=smollm)
    adapted = Reference(smollm_hf, lora)
    assert max(differences(Engine(done.path, adapter.path), adapted, REAL_PROMPTS)) < CLOSE
    assert max(differences(engine, adapted, REAL_PROMPTS)) > FAR
