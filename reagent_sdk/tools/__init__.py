"""Tools for agents: `@tool` for your own functions, six real ones, and MCP servers.

The real tools need the `tools` extra; each imports what it needs when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reagent_sdk.tools.base import Tool, ToolResult
from reagent_sdk.tools.define import FunctionTool, as_tool, tool

if TYPE_CHECKING:
    from reagent_sdk.tools.agent import AgentSettings, ToolAgent
    from reagent_sdk.tools.audio import AudioTool
    from reagent_sdk.tools.browse import BrowseTool
    from reagent_sdk.tools.corpus import CorpusSearch
    from reagent_sdk.tools.files import FileReader
    from reagent_sdk.tools.image import ImageTool
    from reagent_sdk.tools.mcp import MCPServer
    from reagent_sdk.tools.python import PythonTool
    from reagent_sdk.tools.search import SearchTool

_HOME = {
    "AgentSettings": "agent",
    "AudioTool": "audio",
    "BrowseTool": "browse",
    "CorpusSearch": "corpus",
    "FileReader": "files",
    "ImageTool": "image",
    "MCPServer": "mcp",
    "PythonTool": "python",
    "SearchTool": "search",
    "ToolAgent": "agent",
}

__all__ = [
    "AgentSettings",
    "AudioTool",
    "BrowseTool",
    "CorpusSearch",
    "FileReader",
    "FunctionTool",
    "ImageTool",
    "MCPServer",
    "PythonTool",
    "SearchTool",
    "Tool",
    "ToolAgent",
    "ToolResult",
    "as_tool",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reagent_sdk.tools' has no attribute {name!r}")
    return getattr(importlib.import_module(f"reagent_sdk.tools.{_HOME[name]}"), name)
