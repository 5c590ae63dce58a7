"""Whether this machine has a GPU that vLLM can use, without loading torch to ask."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_NONE = {"", "-1", "none", "void", "NoDevFiles"}


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Looks for NVIDIA and AMD devices that this process may use.

    `nvidia-smi -L` decides where it is installed: it knows what a container was given. Otherwise device files do.

    Args:
        devices: where device files are.
    """
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"):
        if os.environ.get(variable, "all").strip() in _NONE:
            return False
    command = shutil.which("nvidia-smi")
    if command is not None:
        try:
            listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return False
        return listed.returncode == 0 and "GPU " in listed.stdout
    return any(devices.glob("nvidia[0-9]*")) or (devices / "kfd").exists()
