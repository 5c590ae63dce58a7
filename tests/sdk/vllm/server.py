"""A real vLLM server in processes of its own, which can be killed and started again on the same port."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from threading import Thread
from typing import IO, Self
from urllib.request import urlopen

PYTHON = Path(__file__).parents[3] / ".venv-vllm" / "bin" / "python"
MODEL = "smollm"
READY = "Application startup complete."

# One thread for the model leaves a core to the tests, and nothing is asked or reported over the network.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


class VllmServer:
    """Serves `weights` as `smollm`. In a `with` block; leaves no process behind.

    Args:
        weights: a Hugging Face folder.
        log: file that what the server prints is appended to.
        options: further command-line options.
    """

    def __init__(self, weights: Path, log: Path, *options: str) -> None:
        self._log = log
        self._port = _free_port()
        self._process: subprocess.Popen[str] | None = None
        self._command = [
            str(PYTHON), "-m", "vllm.entrypoints.openai.api_server",
            "--model", str(weights), "--served-model-name", MODEL,
            "--host", "127.0.0.1", "--port", str(self._port),
            "--enforce-eager", "--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "32",
            # vLLM 0.32 on a CPU dies of a request with a seed whose prompt is read in more than one piece.
            "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096",
            *options,
        ]  # fmt: skip

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Returns when the server answers."""
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, **ENVIRONMENT},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # the engine is a child of the server, and both have to go at once
        )
        assert self._process.stdout is not None
        if not self._read_until_ready(self._process.stdout):
            self.kill()
            raise RuntimeError(f"vLLM did not start:\n{self._log.read_text()[-4000:]}")

    def _read_until_ready(self, output: IO[str]) -> bool:
        with self._log.open("a") as log:
            for line in output:
                log.write(line)
                if READY in line:
                    Thread(target=self._keep_reading, args=(output,), daemon=True).start()
                    return True
        return False

    def _keep_reading(self, output: IO[str]) -> None:
        """A server whose pipe is full would stand still."""
        with self._log.open("a") as log, output:
            log.writelines(output)

    def kill(self) -> None:
        """SIGKILL for the server and its engine."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def metric(self, name: str) -> float:
        """A counter of `/metrics`, summed over its labels."""
        with urlopen(self.url.removesuffix("/v1") + "/metrics") as reply:  # noqa: S310 - our own address
            text = reply.read().decode()
        found = re.findall(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
        assert found, f"the server has no metric {name}"
        return sum(map(float, found))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
