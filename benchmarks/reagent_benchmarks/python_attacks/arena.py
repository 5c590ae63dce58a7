"""Where hostile code runs, and what is looked at afterwards."""

from __future__ import annotations

from typing import Literal

import psutil  # type: ignore[import-untyped]

from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.python.sandbox import Sandbox, isolation_report
from reagent_sdk.tools.python.tool import PythonTool

Level = Literal["auto", "process", "bubblewrap"]
Outcome = tuple[bool, str]


class Arena:
    """Runs attacking code and looks at the machine afterwards."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.walls = {wall.name: wall for wall in isolation_report(Sandbox(isolation=level))}

    async def run(self, *codes: str, seconds: float = 20.0, **limits: int) -> list[ToolResult]:
        """Runs the codes one after the other in one fresh kernel."""
        sandbox = Sandbox.model_validate({"isolation": self.level, "memory_mb": 512, **limits})
        async with PythonTool(timeout=seconds, sandbox=sandbox).opened() as tool:
            return [await tool.call({"code": code}) for code in codes]

    def enforced(self, name: str) -> bool:
        """Whether this machine has that wall."""
        return self.walls[name].enforced

    def by(self, name: str) -> str:
        """What that wall consists of here."""
        return self.walls[name].by


def outcome(stopped: bool, by: str, *seen: ToolResult) -> Outcome:
    """The outcome, which says what was seen where the attack was not stopped as it should have been."""
    told = "; ".join(f"{result.error or 'no error'}: {result.text[-200:]!r}" for result in seen)
    return stopped, by if stopped else f"not by the {by}, but: {told}"


def running(mark: str) -> list[int]:
    """Processes that have the mark on their command line, and have not ended."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(mark in word for word in words):
            found.append(process.pid)
    return found
