"""A real model behind a real HTTP server, for one run of each adapter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from reagent_sdk import models

MODEL = "smollm2-135m-instruct"
KEY = "the-key"
SERVER = """
import sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.verbosity = sys.argv[1], 8192, 1, -1
params.cache_ram_mib, params.api_keys, params.use_jinja = 128, [sys.argv[2]], True
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


def _told(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    """Base URL of a llama.cpp server in a process of its own, which ends with its standard input."""
    path = models.pull(MODEL, report=_told)
    command = [sys.executable, "-c", SERVER, str(path), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip() + "/v1"
        process.stdin.close()
        process.wait(timeout=60)
