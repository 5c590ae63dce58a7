"""The six tools at work on real files, pages and code: `python -m reagent_benchmarks.tools`."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reagent_benchmarks.file_attacks import run_formats
from reagent_benchmarks.tool_runs import PAGES, serving
from reagent_sdk.tools import BrowseTool, CorpusSearch, PythonTool, SearchTool, Tool
from reagent_sdk.tools.base import opened
from reagent_sdk.tools.corpus.build import build_corpus
from reagent_sdk.tools.web.fetch import Fetcher
from reagent_sdk.tools.web.settings import FetchSettings

CODE = {
    "state and last expression": ["total = sum(range(10))", "total * 2"],
    "traceback": ["1 / 0"],
    "figure": ["import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()"],
}


async def run_search(folder: Path) -> list[tuple[str, str, str]]:
    """Offline search over a corpus, two queries at once; and the web, which may be out of reach."""
    rows = [{"id": name, "title": title, "text": text} for name, (title, text, _) in PAGES.items()]
    source = folder / "pages.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    build_corpus([source], folder / "pages.corpus")
    offline, web = SearchTool([CorpusSearch(folder / "pages.corpus")]), SearchTool()
    asked: dict[str, Any] = {"queries": ["keeper of the lighthouse", "rye bread"], "max_results": 1}
    return [
        await _row(offline, "two queries, offline corpus", asked),
        await _row(web, "web search (needs a network)", {"queries": "llm critique"}),
    ]


async def run_browse() -> list[tuple[str, str, str]]:
    """A page on this machine, read whole and with a query; and an address that is refused."""
    browse = BrowseTool(Fetcher(FetchSettings(allow_hosts=("127.0.0.1",), ports=None)))
    with serving() as url:
        return [
            await _row(browse, "local page", {"url": f"{url}/lighthouse"}),
            await _row(browse, "local page, query", {"url": f"{url}/bakery", "query": "rye bread"}),
            await _row(BrowseTool(Fetcher(FetchSettings(ports=None))), "private address", {"url": f"{url}/bakery"}),
        ]


async def run_python() -> list[tuple[str, str, str]]:
    """Code in a kernel of its own."""
    rows = []
    for title, cells in CODE.items():
        async with opened(PythonTool()) as python:
            for cell in cells:
                row = await _row(python, title, {"code": cell})
        rows.append(row)
    return rows


async def _row(tool: Tool, tried: str, arguments: Mapping[str, Any]) -> tuple[str, str, str]:
    result = await tool.call(arguments)
    pictures = f" [{len(result.images)} picture]" if result.images else ""
    lines = [line for line in result.text.splitlines() if line.strip()]
    return tool.name, tried, " / ".join(lines)[:220] + pictures


async def run_all(console: Console) -> list[tuple[str, str, str]]:
    """Every tool, what was tried, what came back."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, console.status("running the tools"):
        rows += await run_search(Path(folder))
        rows += await run_browse()
        rows += await run_python()
        rows += await run_formats()
    return rows


def main() -> None:
    """Prints the table."""
    table = Table("tool", "what was tried", "what came back", expand=True)
    for row in asyncio.run(run_all(Console(stderr=True))):
        table.add_row(*row)
    Console(markup=False).print(table)


if __name__ == "__main__":
    main()
