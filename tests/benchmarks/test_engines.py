from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, dequantize, quants
from reagent_benchmarks import engine_weights
from reagent_benchmarks.engine_findings import Findings
from reagent_benchmarks.engine_replies import Parting, Side, parting

from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.messages import Message

PACKED_TYPE = GGMLQuantizationType.Q4_1


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A GGUF with one packed tensor, one plain one, and metadata of several kinds."""
    path = tmp_path / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_file_type(3)
    writer.add_string("tokenizer.chat_template", "{{ messages }}")
    writer.add_token_list(["a", "b", "ü"])
    writer.add_token_scores([0.5, 0.25, -1.0])
    numbers = np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)
    writer.add_tensor("blk.0.attn_q.weight", quants.quantize(numbers, PACKED_TYPE), raw_dtype=PACKED_TYPE)
    writer.add_tensor("output_norm.weight", numbers[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_float32_file_says_the_same_in_other_numbers(packed: Path, tmp_path: Path) -> None:
    engine_weights.write_plain(packed, tmp_path / "plain.gguf")
    before, after = GGUFReader(packed), GGUFReader(tmp_path / "plain.gguf")
    for name, field in before.fields.items():
        if name != "general.file_type" and not name.startswith("GGUF."):
            assert after.fields[name].contents() == field.contents(), name
    assert after.fields["general.file_type"].contents() == 0
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert (new.name, new.tensor_type) == (old.name, GGMLQuantizationType.F32)
        np.testing.assert_array_equal(new.data, dequantize(old.data, old.tensor_type))
    assert before.tensors[0].tensor_type is PACKED_TYPE


def test_an_interrupted_write_is_done_again(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError("no space left")

    whole = engine_weights.write_plain
    monkeypatch.setattr(engine_weights, "unpack", lambda source, target: target.mkdir())
    monkeypatch.setattr(engine_weights, "write_plain", broken)
    with pytest.raises(OSError, match="no space"):
        engine_weights.prepare(packed, tmp_path / "out")
    monkeypatch.setattr(engine_weights, "write_plain", whole)
    weights = engine_weights.prepare(packed, tmp_path / "out")
    assert GGUFReader(weights.plain).tensors
    assert weights.hf.is_dir()


class Told:
    """An engine that knows what follows which tokens."""

    def __init__(self, nexts: dict[tuple[int, ...], dict[int, float]]) -> None:
        self.nexts = nexts

    async def prompt(self, messages: Sequence[Message]) -> list[int]:
        return [1]

    async def next(self, tokens: Sequence[int]) -> dict[int, float]:
        return self.nexts[tuple(tokens)]

    async def aclose(self) -> None: ...


def side(name: str, nexts: dict[tuple[int, ...], dict[int, float]]) -> Side:
    return Side(name, OpenAICompatible("http://127.0.0.1:9/v1"), Told(nexts))


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ({7: -1.0, 8: -1.5}, Parting(1, 7, 8, 0.5, 0.25)),
        ({7: -1.5, 8: -1.0}, Parting(1, 7, 8, -0.5, 0.25)),
        ({8: -1.0}, Parting(1, 7, 8, None, 0.25)),
    ],
)
def test_replies_part_at_the_first_token_that_differs(ours: dict[int, float], expected: Parting) -> None:
    one, other = side("one", {(1, 5): ours}), side("other", {(1, 5): {7: -2.0, 8: -1.75}})
    assert asyncio.run(parting([1], [5, 7, 9], [5, 8, 9], one, other)) == expected


def test_a_reply_that_is_cut_off_does_not_part_from_a_longer_one() -> None:
    nobody = side("nobody", {})
    assert asyncio.run(parting([1], [5, 7], [5, 7, 9], nobody, nobody)) is None


def test_digits_are_compared_among_themselves() -> None:
    class Tokenizer:
        def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]:
            return [100 + int(token) for token in tokens]

    findings = Findings([], Tokenizer(), {})
    odds = findings.digits({103: math.log(0.3), 107: math.log(0.1), 5: math.log(0.6)})
    assert odds[3] == pytest.approx(math.log(0.75))
    assert odds[7] == pytest.approx(math.log(0.25))
    assert odds[0] == -math.inf
