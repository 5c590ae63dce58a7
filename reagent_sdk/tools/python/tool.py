"""The python tool: a walled-in IPython kernel for each attempt, whose variables live as long as the attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.python.pool import KernelPool
from reagent_sdk.tools.python.sandbox import Sandbox
from reagent_sdk.tools.python.session import KernelSession, Rules

_PARAMETERS: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "Python code; the value of its last line is shown"}},
    "required": ["code"],
    "additionalProperties": False,
}


class PythonTool:
    """Runs Python code that a model wrote. Give each attempt its own with `opened()`, as agents here do."""

    name = "python"

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        max_output_chars: int = 20_000,
        sandbox: Sandbox | None = None,
        workdir: str | Path | None = None,
        pool: KernelPool | None = None,
    ) -> None:
        """Makes the tool; no kernel is started before the first call of an attempt.

        Args:
            timeout: seconds for one call.
            max_output_chars: most characters of text that a call gives back; start and end are kept.
            sandbox: isolation level, network and limits.
            workdir: a folder whose content each attempt finds as a copy in its working folder.
            pool: where kernels come from; by default one of this tool's own, without any started ahead.

        Raises:
            InvalidInput: a value cannot work, or the isolation asked for is not available.
        """
        if timeout <= 0 or max_output_chars < 100:
            raise InvalidInput(
                f"the python tool needs timeout > 0 and max_output_chars >= 100, not {timeout}, {max_output_chars}"
            )
        folder = None if workdir is None else Path(workdir)
        if folder is not None and not folder.is_dir():
            raise InvalidInput(f"workdir {str(folder)!r} is not a folder")
        self._rules = Rules(timeout, max_output_chars, sandbox or Sandbox(), folder)
        self._rules.sandbox.level()
        self._pool = pool or KernelPool()

    @property
    def description(self) -> str:
        """What the model is told."""
        net = "" if self._rules.sandbox.network else " There is no network."
        return (
            "Runs Python code and returns what it prints, the value of the last expression, errors, and figures. "
            f"Variables and files stay between calls. A call may take {self._rules.timeout:g} seconds.{net}"
        )

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments."""
        return _PARAMETERS

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenPython]:
        """The tool for one attempt; its kernel, processes and files are gone afterwards."""
        session = KernelSession(self._pool, self._rules)
        try:
            yield OpenPython(self, session)
        finally:
            await session.aclose()

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Runs the code in a kernel of its own, which keeps nothing for the next call."""
        async with self.opened() as fresh:
            return await fresh.call(arguments)


class OpenPython:
    """The python tool of one attempt. Calls made at the same time run one after the other."""

    name = "python"

    def __init__(self, tool: PythonTool, session: KernelSession) -> None:
        self.description, self.parameters = tool.description, tool.parameters
        self._session = session
        self._one_at_a_time = asyncio.Lock()

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Runs the code. What goes wrong in it, or with it, is in the result."""
        code = arguments.get("code")
        if not isinstance(code, str) or set(arguments) != {"code"}:
            return ToolResult.failed("InvalidArguments", "pass the code as one string: {'code': '...'}")
        async with self._one_at_a_time:
            try:
                return await self._session.run(code)
            except (OSError, TimeoutError) as error:
                return ToolResult.failed("KernelUnavailable", str(error))
