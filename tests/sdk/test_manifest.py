from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models import Manifest, read_manifest, write_manifest

CARD = Manifest(
    name="rrm-small",
    role="judge",
    prompt_version="1",
    base_model="smollm2-135m-instruct",
    recipe="rrm-sft",
    data=("rrm-sft-v1",),
    figures={"accuracy": 0.71},
    gate=0.6,
    files=("rrm.gguf",),
)


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    path = write_manifest(tmp_path, CARD)
    assert read_manifest(tmp_path) == read_manifest(str(path)) == CARD


def test_a_weights_file_has_the_manifest_that_names_it(tmp_path: Path) -> None:
    write_manifest(tmp_path, CARD)
    assert read_manifest(tmp_path / "rrm.gguf") == CARD
    assert read_manifest(tmp_path / "other.gguf") is None
    write_manifest(tmp_path, CARD.model_copy(update={"files": ()}))
    assert read_manifest(tmp_path / "other.gguf") is not None


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "gone" / "x.gguf") is None


def test_keys_of_newer_versions_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "reagent.json").write_text(json.dumps({"name": "x", "role": "base", "colour": "green"}))
    assert read_manifest(tmp_path) == Manifest(name="x", role="base")


@pytest.mark.parametrize(
    ("content", "where"),
    [("", "file"), ("[]", "file"), ('{"name": "x"}', "role"), ('{"name": "x", "role": "judge", "gate": 2}', "gate")],
)
def test_a_broken_manifest_is_said(tmp_path: Path, content: str, where: str) -> None:
    (tmp_path / "reagent.json").write_text(content)
    with pytest.raises(WeightsUnavailable, match=rf"reagent\.json is not a valid manifest \({where}: "):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.gguf", "a/../../b", "", "a\\b"])
def test_files_stay_inside_the_folder(name: str) -> None:
    with pytest.raises(ValidationError, match="inside the manifest's own folder"):
        Manifest(name="x", role="base", files=(name,))
