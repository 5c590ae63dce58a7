from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from tiny_llama import DIGITS, LINES, Engine, Reference, differences, write_adapter, write_tiny

from reagent_sdk import models
from reagent_sdk.cli import main
from reagent_sdk.errors import InvalidInput, MissingExtra, ReagentError, WeightsUnavailable
from reagent_sdk.models import registry, store, unpack, unpacked
from reagent_sdk.models.export import export
from reagent_sdk.models.gguf_read import read_gguf

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft over transformers

SMOLLM = "smollm2-135m-instruct"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("weights") / "tiny", cut=DIGITS)


@pytest.fixture(scope="module")
def tiny_gguf(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf", numbers="f32").path


@pytest.fixture
def known(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny model as one that can be pulled, in a home of its own."""
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    model = registry.KNOWN[SMOLLM].model_copy(
        update={"name": "tiny", "file": "tiny.gguf", "sha256": store.sha256_of(tiny_gguf)}
        | {"size": tiny_gguf.stat().st_size}
    )
    monkeypatch.setattr(registry, "KNOWN", {"tiny": model})
    home = tmp_path / "home" / "models" / "tiny"
    home.mkdir(parents=True)
    shutil.copy(tiny_gguf, home)
    return home


def logits(folder: Path, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = Reference(folder).model(torch.tensor([ids])).logits
    return found


@pytest.mark.parametrize(
    "changes", [{}, {"tie_word_embeddings": True}, {"attention_bias": True, "mlp_bias": True}, {"head_dim": 32}]
)
def test_unpacking_undoes_an_export(changes: dict[str, Any], tmp_path: Path) -> None:
    before = write_tiny(tmp_path / "before", **changes)
    after = unpack(export(before, tmp_path / "x.gguf", numbers="f32").path, tmp_path / "after")
    torch.testing.assert_close(logits(after, [5, 9, 300]), logits(before, [5, 9, 300]), rtol=0, atol=0)
    told = json.loads((after / "config.json").read_text("utf-8"))
    assert "quantization_config" not in told
    assert told.items() >= {"dtype": "float32", "rms_norm_eps": 1e-5, "pad_token_id": 2}.items()
    ours, theirs = Reference(after).tokenizer, Reference(before).tokenizer
    for line in LINES:
        assert ours(line).input_ids == theirs(line).input_ids
    assert ours.chat_template == theirs.chat_template
    assert ours.special_tokens_map == theirs.special_tokens_map


def test_packed_numbers_become_those_of_transformers_own_loader(tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, GgufConfig

    packed = export(tiny, tmp_path / "packed.gguf", numbers="q8_0").path
    folder = unpack(packed, tmp_path / "plain")
    other = AutoModelForCausalLM.from_pretrained(
        str(tmp_path), gguf_file=packed.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    with torch.inference_mode():
        torch.testing.assert_close(logits(folder, [5, 9, 300]), other(torch.tensor([[5, 9, 300]])).logits)
    assert max(differences(Engine(packed), Reference(folder))[::2]) < 2


def test_the_engines_way_to_cut_text_is_kept(tiny_gguf: Path, tmp_path: Path) -> None:
    """transformers' loader does not split digits off, and so leaves one of two spaces to the digit."""
    from transformers import AutoTokenizer

    engine, ours = Engine(tiny_gguf), Reference(unpack(tiny_gguf, tmp_path / "tiny"))
    theirs = AutoTokenizer.from_pretrained(str(tiny_gguf.parent), gguf_file=tiny_gguf.name)
    text = "at floor  3"
    assert engine.prompt(text) == ours.prompt(text)
    assert ours.tokenizer(text).input_ids != theirs(text).input_ids


def test_the_folder_can_be_trained_and_saved_in_halves(tiny_gguf: Path, tmp_path: Path) -> None:
    folder = unpack(tiny_gguf, tmp_path / "tiny", dtype="bfloat16")
    assert json.loads((folder / "config.json").read_text("utf-8"))["dtype"] == "bfloat16"
    assert (folder / "model.safetensors").stat().st_size < 0.6 * tiny_gguf.stat().st_size
    model = Reference(folder).model
    ids = torch.tensor([[5, 9, 300, 7]])
    model.train()(ids, labels=ids).loss.backward()
    assert model.model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0
    model.save_pretrained(tmp_path / "trained")
    assert export(write_adapter(folder, tmp_path / "lora"), tmp_path / "lora.gguf").kind == "adapter"


def test_the_folder_of_a_known_model_is_made_once(known: Path) -> None:
    folder = unpacked("tiny")
    assert folder.name == "tiny"
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert unpacked("tiny") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert [one.path for one in models.installed()] == [known / "tiny.gguf"]
    assert models.find("tiny") == known / "tiny.gguf"
    assert models.find(known) == known / "tiny.gguf"
    freed = models.remove("tiny")
    assert freed > 2 * 100_000
    assert not folder.exists()
    with pytest.raises(WeightsUnavailable, match="run `reagent models pull tiny`"):
        unpacked("tiny")


def test_of_two_that_ask_at_once_one_writes(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, written = threading.Barrier(2), []
    monkeypatch.setattr(store, "locked", meeting(store.locked, together))
    monkeypatch.setattr(sys.modules[unpack.__module__], "_write", noting(written))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: unpacked("tiny"), range(2))
    assert first == second
    assert len(written) == 1
    assert sorted(path.name for path in known.iterdir()) == [first.parent.name, "tiny.gguf", "tiny.gguf.verified.json"]


def meeting(lock: Callable[..., Any], barrier: threading.Barrier) -> Callable[..., Any]:
    """Takes the lock when the other one wants it too."""

    def wait(*args: Any) -> Any:
        barrier.wait()
        return lock(*args)

    return wait


def noting(written: list[Path]) -> Callable[..., None]:
    def write(gguf: Path, folder: Path, dtype: str) -> None:
        written.append(folder)
        (folder / "config.json").write_text("{}")

    return write


def test_an_interrupted_unpacking_leaves_nothing(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Any, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "save_pretrained", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(tiny_gguf, tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="is there already; name a folder that does not exist yet"):
        unpack(tmp_path / "any.gguf", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def rewritten(source: Path, target: Path, architecture: str = "llama", **changes: Any) -> Path:
    """The same file with other metadata, and a further tensor where one is named."""
    writer, reader, extra = GGUFWriter(target, architecture), GGUFReader(source), changes.pop("tensor", None)
    for name, value in read_gguf(source).values.items():
        if name != "general.architecture":
            kinds, content = reader.fields[name].types, changes.get(name.replace(".", "_"), value.content)
            writer.add_key_value(name, content, kinds[0], kinds[-1] if len(kinds) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=GGMLQuantizationType(tensor.tensor_type))
    if extra:
        writer.add_tensor(extra, torch.ones(8).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "qwen2"}, "is not a whole model of the llama architecture"),
        ({"general_type": "adapter"}, "is not a whole model of the llama architecture"),
        ({"tokenizer_ggml_pre": "tekken"}, r"cuts text in a way that is not known here \(tekken\)"),
        ({"tensor": "rope_freqs.weight"}, r"has rope_freqs\.weight, which cannot be unpacked"),
        ({"llama_attention_head_count": 3}, r"is damaged: .*attn_q\.weight is missing or of another shape"),
        ({"llama_block_count": 0}, "does not say what a model of its architecture has to say"),
    ],
)
def test_what_cannot_be_unpacked(changes: dict[str, Any], message: str, tiny_gguf: Path, tmp_path: Path) -> None:
    file = rewritten(tiny_gguf, tmp_path / "other.gguf", **changes)
    with pytest.raises((InvalidInput, WeightsUnavailable), match=message):
        unpack(file, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["other.gguf"]


@pytest.mark.parametrize("keep", [0, 5, 20, 60, 3_000, 12_000, -9_000, -1])
def test_a_file_that_is_cut_off(keep: int, tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.gguf").write_bytes(tiny_gguf.read_bytes()[:keep])
    with pytest.raises(ReagentError) as caught:
        unpack(tmp_path / "cut.gguf", tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.gguf"]


def test_all_kinds_of_metadata_are_read_as_the_gguf_package_reads_them(tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "x.gguf", "llama")
    add: list[tuple[Callable[..., None], Any]] = [
        (writer.add_uint8, 7),
        (writer.add_int8, -7),
        (writer.add_uint16, 700),
        (writer.add_int16, -700),
        (writer.add_uint32, 70_000),
        (writer.add_int32, -70_000),
        (writer.add_uint64, 2**40),
        (writer.add_int64, -(2**40)),
        (writer.add_float32, 0.5),
        (writer.add_float64, 0.1),
        (writer.add_bool, True),
        (writer.add_string, "ü"),
        (writer.add_array, ["a", "", "ü"]),
        (writer.add_array, [1, 2, 3]),
        (writer.add_array, [0.5, 0.25]),
        (writer.add_array, [True, False]),
    ]
    for number, (method, value) in enumerate(add):
        method(f"x.{number}", value)
    writer.add_custom_alignment(64)
    writer.add_tensor("t", torch.arange(6.0).reshape(2, 3).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found, expected = read_gguf(tmp_path / "x.gguf"), GGUFReader(tmp_path / "x.gguf")
    assert [found.values[f"x.{number}"].content for number in range(len(add))] == [value for _, value in add]
    for name, value in found.values.items():
        assert value.kind == expected.fields[name].types[0], name
        assert value.of == (expected.fields[name].types[1] if len(expected.fields[name].types) > 1 else None), name
    (tensor,) = expected.tensors
    assert found.tensors["t"] == ((2, 3), tensor.tensor_type, tensor.data_offset)


def test_the_command(tiny_gguf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["models", "unpack", str(tiny_gguf), str(out), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"name": str(tiny_gguf), "path": str(out), "dtype": "float32"}
    assert told.err == ""
    assert main(["models", "unpack", "smollm2", str(tmp_path / "other")]) == 2
    assert "there is neither a model nor a file called 'smollm2'" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


@pytest.mark.real_model
def test_the_small_model_is_read_alike_in_both_containers(smollm: Path, smollm_hf: Path) -> None:
    engine, reference, contents = Engine(smollm), Reference(smollm_hf), read_gguf(smollm).values
    assert reference.model.config.tie_word_embeddings
    assert contents["tokenizer.ggml.tokens"].content == reference.tokenizer.convert_ids_to_tokens(range(49152))
    assert contents["tokenizer.chat_template"].content == reference.tokenizer.chat_template
    texts = [*LINES, "\n\n 5 of 1,234.50\t= 3!", "x = [1,2]  # <|im_end|>", "½ ① 你好 😀\u00a0end", "  \n \n"]
    assert [engine.prompt(text) for text in texts] == [reference.prompt(text) for text in texts]
    # The engine multiplies packed numbers with packed ones, so that it rounds more than its file says.
    assert max(differences(engine, reference, ["What is the capital of France?"])) < 0.5


def test_an_extra_that_is_missing_is_named(
    tiny: Path, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in (unpack, export):
        monkeypatch.setattr(sys.modules[function.__module__], "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'reagent-sdk\[hf,export\]'"):
        unpack(tiny_gguf, tmp_path / "out")
    with pytest.raises(MissingExtra, match=r"pip install 'reagent-sdk\[export\]'"):
        export(tiny, tmp_path / "out.gguf")
    assert list(tmp_path.iterdir()) == []
