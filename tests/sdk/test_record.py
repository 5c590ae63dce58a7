from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import filelock
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reagent_sdk import record, record_line
from reagent_sdk.errors import InvalidInput, ReagentError
from reagent_sdk.messages import ContentPart, FunctionCall, Message, ToolCall
from reagent_sdk.record import RunLog
from reagent_sdk.record_line import DamagedRecord
from reagent_sdk.run import Attempt, Run, StopReason
from reagent_sdk.task import Task
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict, VerdictStatus


def make_run(id: str = "", answer: str = "4", **more: Any) -> Run:
    given_id = {"id": id} if id else {}
    attempt = Attempt(index=0, trajectory=Trajectory(answer=answer), verdict=Verdict.of(0.5, "show the steps"))
    return Run(
        task=Task(question="What is 2 + 2?"), attempts=(attempt,), chosen=0, stop=StopReason.ROUNDS, **given_id, **more
    )


def damage(log: RunLog) -> list[DamagedRecord]:
    return [one for one in log.scan() if isinstance(one, DamagedRecord)]


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "runs.jsonl")


# --- round trip -------------------------------------------------------------------------------------------------------

# Lone surrogates included: models produce them when a token ends inside a character.
TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CALLS = st.builds(
    ToolCall, id=TEXT, function=st.builds(FunctionCall, name=TEXT, arguments=TEXT | st.dictionaries(TEXT, JSON))
)
PARTS = st.builds(ContentPart, type=st.just("text"), text=TEXT)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.none() | TEXT | st.lists(PARTS, max_size=2).map(tuple),
    tool_calls=st.none() | st.lists(CALLS, max_size=2).map(tuple),
    reasoning_content=TEXT,
)
USAGE = st.builds(Usage, calls=st.integers(0, 2**70), priced_usd=st.floats(0, 1e9), seconds=st.floats(0, 1e9))
TASKS = st.builds(
    Task,
    question=TEXT.map(lambda text: text + "?"),
    history=st.lists(MESSAGES, max_size=2).map(tuple),
    last=st.none() | MESSAGES,
    metadata=st.dictionaries(TEXT, JSON, max_size=3),
)
VERDICTS = st.builds(Verdict.of, st.floats(0, 1), TEXT, analysis=TEXT) | st.builds(
    Verdict.failed, st.sampled_from([s for s in VerdictStatus if s is not VerdictStatus.SCORED]), TEXT, judge=TEXT
)
ATTEMPTS = st.builds(
    Attempt,
    index=st.integers(0, 9),
    trajectory=st.builds(
        Trajectory,
        messages=st.lists(MESSAGES, max_size=3).map(tuple),
        answer=TEXT,
        stop=st.sampled_from(AgentStop),
        usage=USAGE,
    ),
    verdict=st.none() | VERDICTS,
    feedback=st.none() | TEXT,
)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
RUNS = st.builds(
    Run,
    id=TEXT,
    started_at=st.datetimes(min_value=datetime(1990, 1, 1), timezones=ZONES),
    task=TASKS,
    attempts=st.lists(ATTEMPTS, max_size=2).map(tuple),
    stop=st.sampled_from(StopReason),
    why=TEXT,
    threshold=st.none() | FLOATS,
    usage=USAGE,
    notes=st.lists(TEXT, max_size=2).map(tuple),
)


def joined(value: Any) -> Any:
    """Texts with each pair of surrogates read as the one character it stands for, which is how JSON reads them."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, dict):
        return {joined(key): joined(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(joined(one) for one in value)
    return value


@settings(deadline=None)
@given(run=RUNS)
def test_any_run_round_trips(run: Run) -> None:
    line = record_line.encode(run)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    back = record_line.decode(line, 1, 0)
    assert isinstance(back, Run)
    assert joined(back.model_dump()) == joined(run.model_dump())


@settings(deadline=None)
@given(runs=st.lists(RUNS, max_size=4))
def test_a_log_returns_its_runs_in_order(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> None:
    log = RunLog(tmp_path_factory.mktemp("log") / "runs.jsonl")
    for run in runs:
        log.append(run)
    assert [joined(run.model_dump()) for run in log.scan()] == [joined(run.model_dump()) for run in runs]


@pytest.mark.parametrize("text", ["\ud800", "half \udc80 and half", "\u2028\u2029\x85\r\n\x00", "🙂" * 9])
def test_a_text_no_encoding_likes_loses_no_run(log: RunLog, text: str) -> None:
    run = make_run(answer=text)
    log.append(run)
    log.append(make_run())
    first, _ = log.scan()
    assert first == run
    log.path.read_bytes().decode("utf-8")  # the file itself stays valid UTF-8


def test_a_key_no_encoding_likes_is_kept(log: RunLog) -> None:
    lone = chr(0xD800)
    task = Task(question="q", metadata={lone: {1, 2}, "\ufffd": "both"})
    log.append(Run(task=task, stop=StopReason.ROUNDS))
    (run,) = log.read()
    assert run.task.metadata == {lone: [1, 2], "\ufffd": "both"}


def test_values_that_json_does_not_know_are_stored_as_text(log: RunLog) -> None:
    task = Task(question="q", metadata={"path": Path("a/b"), "bytes": b"\xff", "when": timedelta(seconds=1)})
    log.append(Run(task=task, stop=StopReason.ROUNDS))
    (run,) = log.read()
    assert run.task.metadata == {"path": "a/b", "bytes": "b'\\xff'", "when": "PT1S"}


def test_a_run_that_json_cannot_hold_is_refused_and_nothing_is_written(log: RunLog) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidInput, match="simplify its metadata"):
        log.append(Run(task=Task(question="q", metadata={"loop": endless}), stop=StopReason.ROUNDS))
    assert not log.path.exists()


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_is_private_and_its_folders_are_created(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "new" / "folder" / "runs.jsonl")
    before = os.umask(0)
    try:
        log.append(make_run())
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_appending_leaves_the_modes_of_an_existing_file_alone(log: RunLog) -> None:
    log.path.touch()
    log.path.chmod(0o640)
    log.append(make_run())
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o640


def test_importing_the_module_does_not_load_filelock() -> None:
    code = "import sys, reagent_sdk.record; print('filelock' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_a_missing_file_is_an_empty_log(log: RunLog) -> None:
    assert list(log.scan()) == []
    assert not log.path.exists()


def test_reading_leaves_no_lock_file_beside_a_file_that_has_none(log: RunLog) -> None:
    log.path.write_bytes(record_line.encode(make_run())[:-5])
    assert [one.torn for one in damage(log)] == [True]
    assert list(log.path.parent.iterdir()) == [log.path]


def test_aappend_leaves_a_whole_record(log: RunLog) -> None:
    async def three() -> None:
        async with anyio.create_task_group() as group:
            for index in range(3):
                group.start_soon(log.aappend, make_run(f"run-{index}"))

    anyio.run(three)
    assert sorted(run.id for run in log.read()) == ["run-0", "run-1", "run-2"]


def test_threads_share_one_log(log: RunLog) -> None:
    threads = [threading.Thread(target=log.append, args=(make_run(f"{n}", "x" * 100_000),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.id for run in log.read()) == [str(n) for n in range(8)]
    assert damage(log) == []


# --- get --------------------------------------------------------------------------------------------------------------


def test_get_takes_an_id_or_a_prefix_of_one(log: RunLog) -> None:
    for id in ("abc1", "abd2", "ab"):
        log.append(make_run(id))
    assert log.get("abc1").id == "abc1"
    assert log.get("abd").id == "abd2"
    assert log.get("ab").id == "ab"  # a whole id wins over ids that begin with it


def test_get_returns_the_latest_record_of_one_id(log: RunLog) -> None:
    log.append(make_run("abc", "old"))
    log.append(make_run("abc", "new"))
    assert log.get("abc").answer == "new"
    assert log.get("a").answer == "new"


@pytest.mark.parametrize(
    ("asked", "says"),
    [("", "empty"), ("zz", "no run 'zz'"), ("a", r"2 runs begin with 'a' \(ab1, ab2\): give more characters")],
)
def test_get_names_what_is_wrong_with_an_id(log: RunLog, asked: str, says: str) -> None:
    log.append(make_run("ab1"))
    log.append(make_run("ab2"))
    with pytest.raises(InvalidInput, match=says):
        log.get(asked)


# --- damage -----------------------------------------------------------------------------------------------------------

GOOD = record_line.encode(make_run("good"))
FIELDS: dict[str, Any] = json.loads(GOOD)


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in FIELDS.items() if key != name}).encode()


@pytest.mark.parametrize(
    ("line", "says", "torn"),
    [
        (b"not json", "Invalid JSON", False),
        (b"\xff\xfe\x00", "Invalid JSON", False),
        (b"\x00" * 64, "Invalid JSON", False),
        (b"[" * 100_000, "Invalid JSON", False),
        (b"[]", "Input should be an object", False),
        (b"{}", "task: Field required", False),
        (without("id"), "id: Field required", False),
        (without("schema_version"), "schema_version: Field required", False),
        (json.dumps(FIELDS | {"stop": "tired"}).encode(), "stop: Input should be", False),
        (json.dumps(FIELDS | {"x" * 10_000: 1}).encode(), "xxx...", False),
        (json.dumps(FIELDS | {"schema_version": 2, "new": 1}).encode(), "schema version 2 is unknown", False),
        (GOOD[:-2], "EOF while parsing", True),
        (GOOD[: len(GOOD) // 2], "EOF while parsing", True),
    ],
)
def test_a_damaged_line_is_reported_and_skipped(log: RunLog, line: bytes, says: str, torn: bool) -> None:
    log.path.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD)
    first, bad, last = log.scan()
    assert isinstance(first, Run)
    assert isinstance(last, Run)
    assert isinstance(bad, DamagedRecord)
    assert says in bad.reason
    assert (bad.line, bad.offset, bad.torn) == (3, len(GOOD) + 1, torn)
    assert len(bad.reason) <= record_line.MAX_REASON
    assert [run.id for run in log.read()] == ["good", "good"]


@settings(deadline=None)
@given(run=RUNS, data=st.data())
def test_a_record_cut_anywhere_costs_only_itself(
    run: Run, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = RunLog(tmp_path_factory.mktemp("log") / "runs.jsonl")
    line = record_line.encode(run)
    cut = data.draw(st.integers(1, len(line) - 2))
    log.path.write_bytes(GOOD + line[:cut])
    log.append(make_run("after"))
    before, fragment, after = log.scan()
    assert isinstance(fragment, DamagedRecord)
    assert fragment.offset == len(GOOD)
    assert [one.id for one in (before, after) if isinstance(one, Run)] == ["good", "after"]


def test_a_record_that_lacks_only_its_newline_is_whole(log: RunLog) -> None:
    log.path.write_bytes(GOOD[:-1])
    assert [run.id for run in log.read()] == ["good"]
    log.append(make_run("after"))
    assert [run.id for run in log.read()] == ["good", "after"]
    assert damage(log) == []


# --- many writers, and one that dies ----------------------------------------------------------------------------------

WRITER = """
import os, sys
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.task import Task

path, name, dies = sys.argv[1:]
write = os.write

def half(fd, data):
    if len(data) < 1_000_000:  # importing filelock writes a few bytes of its own
        return write(fd, data)
    write(fd, bytes(data[: len(data) // 2]))
    write(1, b"torn\\n")
    sys.stdin.buffer.read()  # never ends: the parent keeps the pipe open and kills this process

runs = [
    Run(id=f"{name}-{n}", task=Task(question="q", metadata={"fill": name * 1_000_000}), stop="rounds")
    for n in range(4)
]
write(1, b"ready\\n")
sys.stdin.buffer.readline()
if dies == "dies":
    os.write = half
for run in runs:
    RunLog(path).append(run)
"""


def start_writer(path: Path, name: str, *, dies: bool = False) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(path), name, "dies" if dies else "lives"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def expect(writer: subprocess.Popen[bytes], line: bytes) -> None:
    assert writer.stdout is not None
    assert writer.stdout.readline() == line


def release(writer: subprocess.Popen[bytes]) -> None:
    assert writer.stdin is not None
    writer.stdin.write(b"go\n")
    writer.stdin.flush()


@pytest.fixture
def writers(log: RunLog) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Eight processes at the same log, all ready to write; the last is the one that dies."""
    started = [start_writer(log.path, name, dies=name == "h") for name in "abcdefgh"]
    try:
        for writer in started:
            expect(writer, b"ready\n")
        yield started
    finally:
        for writer in started:
            writer.kill()
            writer.communicate()


def test_eight_writers_and_one_killed_in_mid_write(
    log: RunLog, writers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    *others, victim = writers
    for writer in writers:
        release(writer)
    expect(victim, b"torn\n")  # it holds the lock, half a record is on the disk, and the others wait
    with monkeypatch.context() as patch:
        patch.setattr(record, "WRITE_WAIT", 0.0)
        with pytest.raises(ReagentError, match="another process has held its lock"):
            log.append(make_run("too early"))
    victim.kill()
    assert victim.wait() == -9
    assert [writer.wait() for writer in others] == [0] * 7

    log.append(make_run("after"))
    ids = [run.id for run in log.read()]
    assert sorted(ids) == sorted([f"{name}-{n}" for name in "abcdefg" for n in range(4)] + ["after"])
    assert all(run.task.metadata["fill"] == run.id[0] * 1_000_000 for run in log.read() if run.id != "after")
    assert [one.torn for one in damage(log)] == [True]


def test_a_torn_tail_is_reported_at_once_and_skipped(log: RunLog) -> None:
    log.append(make_run("before"))
    victim = start_writer(log.path, "v", dies=True)
    expect(victim, b"ready\n")
    release(victim)
    expect(victim, b"torn\n")
    victim.kill()
    victim.communicate()

    before, tail = log.scan()
    assert isinstance(before, Run)
    assert isinstance(tail, DamagedRecord)
    assert (tail.line, tail.torn) == (2, True)


def test_a_reader_waits_for_a_record_in_the_making(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a live writer has half-written is not damage."""
    halfway, go_on = threading.Event(), threading.Event()
    real, real_lock = os.write, log._lock

    def in_two_steps(fd: int, data: memoryview) -> int:
        written = real(fd, data[: len(data) // 2])
        monkeypatch.setattr(os, "write", real)
        halfway.set()
        go_on.wait()
        return written

    def lock(timeout: float) -> Any:
        go_on.set()  # the reader has seen the half and is about to wait for the lock
        return real_lock(timeout)

    monkeypatch.setattr(os, "write", in_two_steps)
    writer = threading.Thread(target=log.append, args=(make_run("slow"),))
    writer.start()
    halfway.wait()
    monkeypatch.setattr(log, "_lock", lock)
    found = list(log.scan())
    go_on.set()
    writer.join()
    assert [one.id for one in found if isinstance(one, Run)] == ["slow"]


def test_short_writes_are_continued(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    log.append(make_run("a"))
    log.append(make_run("b"))
    monkeypatch.undo()
    assert [run.id for run in log.read()] == ["a", "b"]


FULL_DISK = """
import resource, sys
from reagent_sdk.errors import ReagentError
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.task import Task

log = RunLog(sys.argv[1])
log.append(Run(id="kept", task=Task(question="q"), stop="rounds"))
size = log.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5_000, resource.RLIM_INFINITY))
try:
    log.append(Run(id="big", task=Task(question="x" * 100_000), stop="rounds"))
except ReagentError as error:
    print(error)
print(log.path.stat().st_size == size)
"""


def test_a_write_that_fails_half_way_leaves_the_log_as_it_was(log: RunLog) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(log.path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == [f"cannot write the run log {log.path}: File too large", "True"]
    assert [run.id for run in log.read()] == ["kept"]


def test_a_lock_that_is_never_freed_is_an_error(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "WRITE_WAIT", 0.0)
    held = threading.Event()
    done = threading.Event()

    def hold() -> None:
        with filelock.FileLock(f"{log.path}.lock"):
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with pytest.raises(ReagentError, match=r"runs\.jsonl: another process has held its lock"):
        log.append(make_run())
    done.set()
    holder.join()


# --- paths that cannot work -------------------------------------------------------------------------------------------


def test_a_folder_is_not_a_log(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    with pytest.raises(InvalidInput, match=f"cannot write the run log {tmp_path}: Is a directory"):
        log.append(make_run())
    with pytest.raises(InvalidInput, match=f"cannot read the run log {tmp_path}: Is a directory"):
        list(log.scan())


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = RunLog(tmp_path / "file" / "runs.jsonl")
    for use in (lambda: log.append(make_run()), lambda: list(log.scan())):
        with pytest.raises(InvalidInput, match=str(log.path)):
            use()


@pytest.fixture
def forbidden(log: RunLog) -> Iterator[RunLog]:
    """A log that this process may not touch; root, whom no mode stops, becomes somebody else for it."""
    log.append(make_run())  # and loads what is imported lazily, which another user may not be able to read
    log.path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield log
    finally:
        if root:
            os.seteuid(0)


def test_permission_denied_names_the_path_and_the_fix(forbidden: RunLog) -> None:
    with pytest.raises(InvalidInput, match=f"cannot write .*{forbidden.path}: Permission denied; pass the path of"):
        forbidden.append(make_run())
    with pytest.raises(InvalidInput, match=f"cannot read .*{forbidden.path}: Permission denied; pass the path of"):
        list(forbidden.scan())
