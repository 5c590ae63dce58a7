"""`reagent score --engine ray` on a real local Ray: one verdict for each id, whatever is killed when."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from reagent_sdk.cli import app
from reagent_sdk.errors import InvalidInput
from reagent_sdk.ray_data import JudgeRows
from reagent_sdk.testing.server import ChatServer, Fault, Reply, refused_url

VERDICT = "<analysis>\nfor me alone\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>0.5</score>"
WORKER = "ray::MapWorker(MapBatches(JudgeBlocks))"
READER = "ray::ReadTrajectories"
FOREMAN = "ray::Foreman"
IDS = [f"r{number}" for number in range(1_200)]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[str]:
    """A Ray of two CPUs that this process is connected to, and others can join; its address."""
    changed = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp") as folder:
        for name, value in changed.items():
            patch.setenv(name, value)
        import ray

        context = ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            object_store_memory=128 * 2**20,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
        yield context.address_info["address"]
        ray.shutdown()


@pytest.fixture(autouse=True)
def reagent_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)


def score(*words: object, engine: str = "ray") -> Any:
    return CliRunner().invoke(app, ["score", *map(str, words), "--engine", engine])


def started(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reagent_sdk", "score", *map(str, words), "--engine", "ray"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def written(path: Path, ids: list[str]) -> Path:
    path.write_text("".join(json.dumps({"id": one, "question": f"q {one}", "answer": "a"}) + "\n" for one in ids))
    return path


def verdicts(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def asked(server: ChatServer) -> Counter[str]:
    """How often each id was put to the judge; its question stands in a line of the prompt."""
    texts = (str(request.body["messages"]) for request in server.requests)
    return Counter(text.split("q r", 1)[1].split("\\n", 1)[0] for text in texts)


def exact(out: Path, ids: list[str]) -> bool:
    found = verdicts(out)
    assert Counter(one["id"] for one in found) == Counter(ids)
    return {one["verdict"]["status"] for one in found} == {"scored"}


def workers(of: int) -> list[psutil.Process]:
    """The worker processes below a process."""
    return processes(of, WORKER)


def processes(of: int, name: str) -> list[psutil.Process]:
    """The processes below one with the name that Ray gives them."""
    below = psutil.Process(of).children(recursive=True)
    return [one for one in below if one.is_running() and _name(one).startswith(name)]


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def told(err: str) -> str:
    """What a driver said, less the notice that no worker has started yet, which a busy machine brings about."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith("no worker has started yet"))


def until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    """Looks again and again until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def test_workers_that_are_killed_cost_no_verdict_and_double_none(tmp_path: Path) -> None:
    file, out = written(tmp_path / "in.jsonl", IDS), tmp_path / "out.jsonl"
    killed: list[int] = []

    def kill_now_and_then() -> None:
        """The workers three times; the second time what reads, too, and the third time what runs the pipeline."""
        for share, also in ((0.15, WORKER), (0.4, READER), (0.65, FOREMAN)):
            until(lambda share=share: len(server.requests) > share * len(IDS) and bool(workers(os.getpid())))  # type: ignore[misc]
            others = processes(os.getpid(), also)
            assert others
            for one in {*workers(os.getpid()), *others}:
                one.kill()
                killed.append(one.pid)

    with ChatServer([Reply(VERDICT, delay=0.01)]) as server:
        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        result = score(file, "--judge", server.base_url, "--out", out, "--concurrency", 16, "--json")
        killer.join()
        assert len(server.requests) > len(IDS)  # what was under way was asked for again
    assert (result.exit_code, json.loads(result.stdout)["judged_now"]) == (0, len(IDS))
    assert len(set(killed)) == len(killed) >= 6
    assert exact(out, IDS)
    assert [one["line"] for one in sorted(verdicts(out), key=lambda one: int(one["id"][1:]))] == [
        *range(1, len(IDS) + 1)
    ]


@pytest.fixture
def short_temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A temporary directory for processes to come, short enough for Ray's sockets: a killed one leaves its logs."""
    with tempfile.TemporaryDirectory(prefix="rt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield


@pytest.mark.usefixtures("short_temporary")
def test_a_driver_that_is_killed_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    """With a Ray of its own, which must go down with it; then in this process's Ray, and at last in no Ray."""
    file, out = written(tmp_path / "in.jsonl", IDS), tmp_path / "out.jsonl"
    with ChatServer([Reply(VERDICT, delay=0.005)]) as server:
        words = (file, out, "--judge", server.base_url, "--concurrency", 8)
        driver = started(*words)
        until(lambda: len(verdicts_lines(out)) > 500)
        below = psutil.Process(driver.pid).children(recursive=True)
        names = {one: one.name() for one in below}
        os.kill(driver.pid, signal.SIGKILL)
        driver.communicate()
        ours = [one for one in below if "Agent" not in names[one]]  # Ray's agents give themselves a minute to notice
        assert {"raylet", "gcs_server", WORKER} <= {names[one].split(".")[0] for one in ours}
        assert psutil.wait_procs(ours, timeout=30)[1] == []
        kept = len(verdicts_lines(out))
        assert 500 < kept < len(IDS)
        with out.open("ab") as torn:
            torn.write(b'{"id": "r1199", "line": 2')
        asked_before = len(server.requests)
        again = score(*words, "--json")
        assert "torn line" in again.stderr
        assert json.loads(again.stdout)["judged_now"] == len(IDS) - kept == len(server.requests) - asked_before
        assert max(asked(server).values()) <= 2
        assert exact(out, IDS)
        assert json.loads(score(*words, "--json", engine="local").stdout)["judged_now"] == 0


def verdicts_lines(out: Path) -> list[bytes]:
    return out.read_bytes().splitlines() if out.exists() else []


def test_either_engine_goes_on_where_the_other_stopped(tmp_path: Path) -> None:
    ids = IDS[:60]
    file, out = written(tmp_path / "in.jsonl", ids), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as server:
        for limit, engine in ((20, "local"), (40, "ray"), (60, "local")):
            more = ("--workers", 3) if engine == "ray" else ()  # one more than there are CPUs
            result = score(file, out, "--judge", server.base_url, "--limit", limit, "--json", *more, engine=engine)
            assert json.loads(result.stdout)["judged_now"] == 20
        assert set(asked(server).values()) == {1}
    assert exact(out, ids)
    assert len({tuple(sorted(one)) for one in verdicts(out)}) == 1
    assert len({json.dumps(one["verdict"] | {"usage": 0}) for one in verdicts(out)}) == 1


def test_a_driver_in_another_cluster_joins_it(tmp_path: Path, cluster: str) -> None:
    ids = IDS[:50]
    file, out = written(tmp_path / "in.jsonl", ids), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as server:
        driver = started(file, "--out", out, "--judge", server.base_url, "--ray-address", cluster, "--workers", 1)
        _, err = driver.communicate(timeout=180)
    assert (driver.returncode, told(err)) == (0, "")
    assert exact(out, ids)


def test_a_malformed_line_is_named_before_anything_is_judged(tmp_path: Path) -> None:
    file, out = written(tmp_path / "in.jsonl", [*IDS[:300], "r0"]), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as server:
        result = score(file, out, "--judge", server.base_url)
        assert server.requests == []
    assert (result.exit_code, out.exists()) == (2, False)
    assert result.stderr == f"error: {file}, line 301: the id 'r0' is that of line 1 already; ids must differ\n"


def test_a_dead_judge_is_given_up_and_costs_nothing(tmp_path: Path) -> None:
    file, out = written(tmp_path / "in.jsonl", IDS[:500]), tmp_path / "out.jsonl"
    with ChatServer([VERDICT]) as alive:
        score(file, out, "--judge", f"{alive.base_url}#judge", "--limit", 30, engine="local")
        kept = verdicts(out)
        port_script = alive.base_url
    with ChatServer([Fault.status(400)]) as dead:
        # The same judge by name at another address would be another judge, so its verdicts are put under that name.
        out.write_text(out.read_text().replace(port_script, dead.base_url))
        result = score(file, out, "--judge", f"{dead.base_url}#judge")
        assert len(dead.requests) < 60
    assert result.exit_code == 3
    assert "so the rest was not tried" in result.stderr
    assert {one["id"] for one in verdicts(out) if one["verdict"]["status"] == "scored"} == {one["id"] for one in kept}


def test_a_record_that_kills_its_worker_is_told_and_the_others_are_judged(tmp_path: Path) -> None:
    """Each worker that gets to ask for record r7 is killed."""
    ids = IDS[:30]
    file, out = written(tmp_path / "in.jsonl", ids), tmp_path / "out.jsonl"

    def answer(body: dict[str, Any]) -> Reply:
        if "q r7\\n" in str(body["messages"]):
            for one in workers(os.getpid()):
                one.kill()
        return Reply(VERDICT)

    with ChatServer(answer) as server:
        result = score(file, out, "--judge", server.base_url, "--workers", 1, "--concurrency", 1)
    assert result.exit_code == 0
    statuses = {one["id"]: one["verdict"]["status"] for one in verdicts(out)}
    assert {one for one, status in statuses.items() if status == "unavailable"} == {"r7"}
    assert len(statuses) == len(verdicts(out)) == 30
    assert "the judge was unavailable for 1 of 30 records" in result.stderr


def test_an_interruption_ends_it_at_once(tmp_path: Path, cluster: str) -> None:
    file, out = written(tmp_path / "in.jsonl", IDS), tmp_path / "out.jsonl"
    with ChatServer([Reply(VERDICT, delay=0.05)]) as server:
        driver = started(file, out, "--judge", server.base_url, "--ray-address", cluster)
        until(lambda: len(verdicts_lines(out)) > 20)
        driver.send_signal(signal.SIGINT)
        _, err = driver.communicate(timeout=180)
    assert driver.returncode == 130
    assert told(err).startswith("error: interrupted; what is judged is in ")
    assert told(err).count("\n") == 1
    assert len(verdicts(out)) < len(IDS)
    until(lambda: not workers(os.getpid()) + processes(os.getpid(), FOREMAN))  # nobody asks the judge in vain


def test_a_file_that_changes_meanwhile_ends_it(tmp_path: Path) -> None:
    """An error that a worker meets and every other row would meet as well is told as the local engine tells it."""
    file, out = written(tmp_path / "in.jsonl", IDS), tmp_path / "out.jsonl"

    def answer(_: dict[str, Any]) -> str:
        file.write_bytes(b" " * file.stat().st_size)
        return VERDICT

    with ChatServer(answer) as server:
        result = score(file, out, "--judge", server.base_url)
    assert result.exit_code == 2
    assert re.fullmatch(rf"error: in a worker: {file}, line \d+ was changed since .*\n", result.stderr)
    assert 0 < len(verdicts(out)) < len(IDS)


@pytest.mark.filterwarnings("ignore:.*is deprecated.*:DeprecationWarning:ray.data")  # Ray about its own settings
def test_a_ray_data_pipeline_gives_the_same_verdicts(tmp_path: Path) -> None:
    import ray

    ids = IDS[:200]
    file, out = written(tmp_path / "in.jsonl", ids), tmp_path / "out.jsonl"

    def answer(body: dict[str, Any]) -> str:
        number = int(str(body["messages"]).split("q r", 1)[1].split("\\n", 1)[0])
        return VERDICT.replace("0.5", f"0.{number:03d}") if number % 7 else "no verdict"

    ray.data.DataContext.get_current().enable_progress_bars = False
    with ChatServer(answer) as server:
        spec = f"{server.base_url}#judge"
        assert score(file, out, "--judge", spec, engine="local").exit_code == 0
        rows = ray.data.read_text(str(file))
        one = ray.data.ActorPoolStrategy(size=1)  # reading takes the other CPU
        judged = rows.map_batches(JudgeRows, fn_constructor_args=(spec,), compute=one, batch_size=32).take_all()
    expected = {one["id"]: (one["verdict"]["status"], one["verdict"]["score"]) for one in verdicts(out)}
    assert Counter(row["id"] for row in judged) == Counter(ids)
    assert {row["id"]: (row["status"], row["score"]) for row in judged} == expected
    assert {json.loads(row["verdict"])["judge"] for row in judged} == {f"judge at {server.base_url}"}


def test_rows_that_cannot_be_read_are_named() -> None:
    with pytest.raises(InvalidInput, match="no column 'text'; the data set has question"):
        JudgeRows("http://127.0.0.1:9/v1")({"question": ["q"]})
    with pytest.raises(InvalidInput, match="batch, line 2: not JSON"):
        JudgeRows("http://127.0.0.1:9/v1")({"text": ['{"question": "q", "answer": "a"}', "{"]})
    with pytest.raises(InvalidInput, match="concurrency"):
        JudgeRows("http://127.0.0.1:9/v1", concurrency=0)


def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "in.jsonl", IDS[:2])
    url = "http://127.0.0.1:9/v1"
    both = score(file, tmp_path / "a", "--out", tmp_path / "b", "--judge", url)
    assert both.exit_code == 2
    assert "pass one of them" in both.stderr
    alone = score(file, "--judge", url, "--workers", 3, engine="local")
    assert alone.exit_code == 2
    assert "are for --engine ray" in alone.stderr
    with refused_url() as nobody:
        address = nobody.removeprefix("http://").removesuffix("/v1")
        driver = started(file, "--judge", url, "--ray-address", address)
        err = driver.communicate(timeout=60)[1]
    assert driver.returncode == 1
    assert err.startswith(f"error: cannot join Ray at {address}: ")
    assert err.count("\n") == 1
    monkeypatch.setitem(sys.modules, "ray", None)
    missing = score(file, "--judge", url)
    assert missing.exit_code == 3
    assert "pip install 'reagent-sdk[ray]'" in missing.stderr
