"""The MCP server: two tools over one judge and one model."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from reagent_adapters.mcp import tools
from reagent_adapters.versions import require

require("mcp", "mcp")

from mcp.server import MCPServer  # noqa: E402 - after the check of its version
from mcp.server.mcpserver import Context  # noqa: E402
from mcp.server.mcpserver.exceptions import ToolError  # noqa: E402
from mcp.types import ToolAnnotations  # noqa: E402

from reagent_sdk import __version__  # noqa: E402
from reagent_sdk.critique_agent import CritiqueAgent  # noqa: E402
from reagent_sdk.errors import ReagentError  # noqa: E402
from reagent_sdk.events import AttemptJudged, AttemptSolved, Event, RunFinished  # noqa: E402
from reagent_sdk.judges.base import Judge  # noqa: E402
from reagent_sdk.run import Run  # noqa: E402

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=True)
INSTRUCTIONS = (
    "A judge that reads whole trajectories. Call `critique` with your own work before you give a final answer, and "
    "revise what it names. `solve_with_critique` solves a question with another model and returns its best attempt."
)
_Messages = Annotated[
    list[dict[str, Any]] | str,
    Field(
        description="The work to judge: chat messages in the OpenAI format, with tool_calls and tool results, from "
        "the question on; or a final answer alone, as text"
    ),
]
_Asked = Annotated[str | None, Field(description="What was asked; needed when the messages do not hold it")]


def make_server(judge: Judge, agent: CritiqueAgent[..., Any] | None) -> MCPServer[Any]:
    """The server.

    Args:
        judge: gives the verdicts of `critique`.
        agent: solves for `solve_with_critique`; without one there is no such tool.
    """

    server: MCPServer[Any] = MCPServer(
        "reagent",
        title="Reagent",
        version=__version__,
        instructions=INSTRUCTIONS,
        log_level="WARNING",
    )

    @server.tool(annotations=_READS)
    async def critique(trajectory: _Messages, question: _Asked = None) -> tools.Critique:
        """Judge a piece of work: a score in [0, 1] for the whole trajectory, and a critique that says what to improve.

        A judge that fails says so in `status` and gives no score.
        """
        try:
            return await tools.critique(judge, trajectory, question)
        except ReagentError as error:
            raise ToolError(str(error)) from error

    if agent is not None:

        @server.tool(annotations=_READS)
        async def solve_with_critique(
            question: Annotated[str, Field(description="The question, with all that is needed to answer it")],
            ctx: Context[Any, Any],
        ) -> tools.Solution:
            """Solve a question with a model, have the attempt judged, revise it, and return the better attempt."""
            try:
                return tools.Solution.of(await _solved(agent, question, ctx))
            except ReagentError as error:
                raise ToolError(str(error)) from error

    return server


async def _solved(agent: CritiqueAgent[..., Any], question: str, ctx: Context[Any, Any]) -> Run:
    """Runs the loop and reports each step to clients that asked for progress."""
    run: Run | None = None
    step = 0
    async for event in agent.astream(question):
        if isinstance(event, RunFinished):
            run = event.run
        elif told := _told(event):
            step += 1
            await ctx.report_progress(step, message=told)
    if run is None:
        raise ReagentError("the run ended without a result")
    return run


def _told(event: Event) -> str:
    """A step in one line, without a word of the draft: it may yet be rejected."""
    if isinstance(event, AttemptSolved):
        return f"attempt {event.index + 1} is being judged"
    if isinstance(event, AttemptJudged):
        score = event.verdict.score
        return f"attempt {event.index + 1}: " + (event.verdict.status.value if score is None else f"score {score:.2f}")
    return ""
