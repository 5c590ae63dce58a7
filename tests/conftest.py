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
    "test_tool_runs.py",
    "test_shipped_judge.py",
    "test_judge_in_process.py",
    "test_embedded.py",
    "test_transformers_client.py",
    "test_mcp_server.py",
    "test_judge_serve.py",
    "test_judge_serve_child.py",
    "test_judge_serve_attach.py",
    "test_proxy_process.py",
    "test_llama_index_package.py",
    "test_langchain_resume.py",
    "test_train_cli.py::test_a_killed_run_goes_on_to_the_same_losses",
    "test_docs.py::test_the_readmes_examples_run",
    "test_calibration_cli.py::test_a_real_judge_on_real_work",
    "test_calibration_cli.py::test_it_goes_on_after_sigkill",
    "test_file_reader_tables.py::test_every_format_is_read",
    "test_file_reader_tables.py::test_every_attack_is_stopped",
    "test_cli_process.py::test_the_demo_runs_on_the_real_model",
    "test_smolagents.py::test_a_real_model_behind_a_real_server",
    "test_dspy.py::test_a_real_model_behind_a_real_server",
    "test_inspect_ai.py::test_a_real_model_answers_and_a_real_judge_judges",
    "test_inspect_ai.py::test_the_command_line_finds_solver_and_scorer_by_name",
    "test_python_tool_pool.py::test_twenty_attempts_at_once_leave_nothing",
    "test_models_export.py::test_the_small_model_comes_back_from_a_round_trip",
    "test_step_labels.py::test_a_real_model_under_the_grammar_labels_every_step",
    "test_litellm_client.py::test_a_program_stays_quiet_and_clean",
)
"""Files and tests that train, run a real model, load a server or kill processes: `make test-slow` runs them, and
`.ci/run` does. The rest takes less than ten minutes on two cores, with `test_end_to_end.py` for the real thing."""

LONGEST = (
    *SLOW,
    "test_agent_rl_numerics.py",
    "test_end_to_end.py",
    "test_calibration_cli.py",
    "test_file_reader.py",
    "test_image_tool.py",
    "test_python_tool_attacks.py",
    "test_cli_process.py",
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
        name = item.path.name
        if name in SLOW or f"{name}::{getattr(item, 'originalname', '')}" in SLOW:
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
