"""The python tool with real kernels: state, results, limits on what comes back, and what becomes of a bad kernel."""

from __future__ import annotations

import base64
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools import Tool
from reagent_sdk.tools.base import opened
from reagent_sdk.tools.python import bubblewrap
from reagent_sdk.tools.python.output import Output
from reagent_sdk.tools.python.sandbox import Sandbox, isolation_report
from reagent_sdk.tools.python.tool import OpenPython, PythonTool

pytest.importorskip("ipykernel", reason="the tools extra is not installed")
pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="no limits on Windows")]


@pytest.fixture
async def python() -> AsyncIterator[OpenPython]:
    async with PythonTool(timeout=20).opened() as tool:
        yield tool


async def run(tool: Tool, code: str) -> str:
    return (await tool.call({"code": code})).text


async def test_it_is_a_tool() -> None:
    tool = PythonTool()
    assert isinstance(tool, Tool)
    async with opened(tool) as fresh:
        assert isinstance(fresh, Tool)
        assert (fresh.name, fresh.parameters) == (tool.name, tool.parameters)


async def test_variables_and_files_stay_between_calls_of_an_attempt_and_not_longer() -> None:
    tool = PythonTool()
    async with tool.opened() as first:
        assert await run(first, "x = 41; open('note.txt', 'w').write('kept')") == "4"
        assert await run(first, "x + 1, open('note.txt').read()") == "(42, 'kept')"
    async with tool.opened() as second:
        assert "NameError" in await run(second, "x")
        assert "FileNotFoundError" in await run(second, "open('note.txt')")


async def test_a_call_without_an_attempt_runs_alone() -> None:
    assert await run(PythonTool(), "6 * 7") == "42"


async def test_a_traceback_is_a_result_without_colours(python: OpenPython) -> None:
    result = await python.call({"code": "import sys\nprint('out'); print('err', file=sys.stderr)\n1 / 0"})
    assert result.error == "ZeroDivisionError"
    assert "----> 3 1 / 0" in result.text
    assert "\x1b" not in result.text
    assert result.text.index("out") < result.text.index("ZeroDivisionError")
    assert "err" in result.text


async def test_output_of_child_processes_and_silence(python: OpenPython) -> None:
    assert await run(python, "!echo from a shell") == "from a shell"
    assert await run(python, "y = 1") == "(no output)"


async def test_input_is_refused_and_not_waited_for(python: OpenPython) -> None:
    assert (await python.call({"code": "input()"})).error == "StdinNotImplementedError"


@pytest.mark.parametrize("arguments", [{}, {"code": 3}, {"code": "1", "more": 2}])
async def test_wrong_arguments_start_no_kernel(python: OpenPython, arguments: dict[str, object]) -> None:
    assert (await python.call(arguments)).error == "InvalidArguments"


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
async def test_figures_are_pictures(python: OpenPython) -> None:
    result = await python.call({"code": "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"})
    kind, encoded = result.images[0].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(encoded).startswith(b"\x89PNG")


async def test_pictures_are_bounded_in_number_and_size(python: OpenPython) -> None:
    code = """
from IPython.display import Image, display
for size in [5_000_000, *[10] * 20]:
    display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n' + bytes(size), format='png'))"""
    result = await python.call({"code": code})
    assert sum(map(len, result.images)) < 8 * 2**20
    assert len(result.images) <= 8
    assert "pictures left out" in result.text


async def test_long_output_keeps_both_ends_and_says_what_is_missing() -> None:
    async with PythonTool(max_output_chars=1000).opened() as tool:
        result = await tool.call({"code": "print('A' * 5000 + 'Z'); 1 / 0"})
    assert result.text.startswith("AAA")
    assert result.text.endswith("division by zero")
    assert "characters left out ...]" in result.text
    assert len(result.text) < 1100


async def test_a_huge_value_does_not_disturb_the_next_call(python: OpenPython) -> None:
    result = await python.call({"code": "'x' * 30_000_000"})
    assert len(result.text) < 21_000
    assert await run(python, "1 + 1") == "2"


async def test_a_message_too_large_to_take_is_reported_and_the_kernel_goes_on(python: OpenPython) -> None:
    code = "from IPython.display import display\ndisplay({'text/plain': 'x' * 20_000_000}, raw=True)"
    assert "was lost" in await run(python, f"kept = 5\n{code}")
    assert await run(python, "kept") == "5"


async def test_a_late_call_is_interrupted_and_keeps_its_variables() -> None:
    async with PythonTool(timeout=4).opened() as tool:
        late = await tool.call({"code": "x = 1\nwhile True: pass"})
        assert late.error == "TimeoutError"
        assert "stopped after 4 seconds; variables are kept" in late.text
        assert await run(tool, "x") == "1"


async def test_a_call_that_cannot_be_interrupted_is_killed_and_says_that_state_is_lost() -> None:
    async with PythonTool(timeout=4).opened() as tool:
        await tool.call({"code": "x = 1"})
        late = await tool.call({"code": "sum(range(10**11))"})
        assert late.error == "TimeoutError"
        assert "all variables and files are gone" in late.text
        assert "NameError" in await run(tool, "x")


async def test_a_dead_kernel_is_reported_and_replaced(python: OpenPython) -> None:
    dead = await python.call({"code": "import os; os._exit(7)"})
    assert dead.error == "KernelDied"
    assert "exit code 7" in dead.text
    assert await run(python, "1 + 1") == "2"


async def test_messages_forged_by_the_code_do_no_harm(python: OpenPython) -> None:
    code = """
from IPython import get_ipython
kernel = get_ipython().kernel
for content in ([1], 'text', {'text': 5}, {'data': [1]}, {'traceback': 'no', 'ename': None}):
    for kind in ('stream', 'display_data', 'error', 'status'):
        kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
print('still here')"""
    assert "still here" in await run(python, code)
    assert await run(python, "1 + 1") == "2"


async def test_a_folder_is_copied_in_and_never_written_back(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.csv").write_text("1,2\n")
    async with PythonTool(workdir=tmp_path).opened() as tool:
        assert await run(tool, "open('data/numbers.csv', 'a').write('3'); open('data/numbers.csv').read()")
        assert "1,2" in await run(tool, "print(open('data/numbers.csv').read())")
    assert (tmp_path / "data" / "numbers.csv").read_text() == "1,2\n"


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"max_output_chars": 1}, {"workdir": "/no/such/folder"}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        PythonTool(**wrong)  # type: ignore[arg-type]


async def test_bubblewrap_where_it_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    bubblewrap.problem.cache_clear()
    try:
        assert Sandbox().level() == "process"
        with pytest.raises(InvalidInput, match="bwrap is not installed"):
            PythonTool(sandbox=Sandbox(isolation="bubblewrap"))
    finally:
        bubblewrap.problem.cache_clear()


async def test_the_report_names_level_and_limits() -> None:
    walls = {wall.name: wall for wall in isolation_report()}
    assert walls["level"].by in ("process", "bubblewrap")
    assert walls["memory"].enforced
    assert all(wall.by for wall in walls.values())


def test_terminal_codes_are_taken_out() -> None:
    output = Output(1000)
    output.take("stream", {"text": "\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07"})
    assert output.result().text == "red link"
