from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SLOW = (
    "test_score_ray.py",
    "test_proxy_load.py",
    "test_examples.py",
    "test_trl.py",
    "test_mini.py",
    "test_train_grpo.py",
    "test_train_critic.py",
    "test_agent_rl_processes.py",
    "test_agent_rl_runs.py",
    "test_agent_sft.py",
    "test_bench_killed.py",
    "test_bench_run.py",
    "test_page.py",
    "test_judge_attacks.py",
    "test_chaos.py",
)
"""Files that train, load a server or kill processes for minutes: `make test-slow` runs them, and `.ci/run` does."""

LONGEST = (
    *SLOW,
    "test_agent_rl_numerics.py",
    "test_mcp_server.py",
    "test_end_to_end.py",
    "test_tool_runs.py",
    "test_cli_process.py",
    "test_transformers_client.py",
    "test_judge_in_process.py",
    "test_embedded.py",
    "test_calibration_cli.py",
    "test_judge_serve.py",
    "test_proxy_process.py",
    "test_llama_index_package.py",
)
"""Files that take the longest. `make test` gives whole files to its processes, and one of these must not come last."""

WORKER = "PYTEST_XDIST_WORKER" in os.environ
"""Whether this is one of several processes that run the tests together, as in `make test`."""

if WORKER:  # set before torch is imported, and passed on to processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says how busy the machine is. Tests that bound the time of something measure it themselves.
settings.register_profile("tests", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What passes has to pass again: new examples are looked for by a plain `pytest`.
settings.register_profile("fixed", settings.get_profile("tests"), derandomize=True, database=None)
settings.load_profile("fixed" if WORKER else "tests")


def pytest_configure() -> None:
    # A shell starts commands in the background with Ctrl-C ignored, and processes that tests interrupt inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data, which is not part of the repository."""
    folder = Path(os.environ.get("REAGENT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set REAGENT_DATA to a folder that holds the public data sets")
    return folder
