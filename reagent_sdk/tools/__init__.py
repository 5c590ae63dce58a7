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
    from reagent_sdk.tools.corpus.build import build_corpus
    from reagent_sdk.tools.corpus.search import CorpusSearch
    from reagent_sdk.tools.files.reader import FileReader, read_document
    from reagent_sdk.tools.mcp import MCPServer
    from reagent_sdk.tools.media.audio import AudioTool
    from reagent_sdk.tools.media.image import ImageTool
    from reagent_sdk.tools.python.sandbox import Sandbox
    from reagent_sdk.tools.python.tool import PythonTool
    from reagent_sdk.tools.search.tool import SearchTool
    from reagent_sdk.tools.web.browse import BrowseTool

_HOME = {
    "AgentSettings": "agent",
    "AudioTool": "media.audio",
    "BrowseTool": "web.browse",
    "CorpusSearch": "corpus.search",
    "FileReader": "files.reader",
    "ImageTool": "media.image",
    "MCPServer": "mcp",
    "PythonTool": "python.tool",
    "Sandbox": "python.sandbox",
    "SearchTool": "search.tool",
    "ToolAgent": "agent",
    "build_corpus": "corpus.build",
    "read_document": "files.reader",
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
    "Sandbox",
    "SearchTool",
    "Tool",
    "ToolAgent",
    "ToolResult",
    "as_tool",
    "build_corpus",
    "read_document",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reagent_sdk.tools' has no attribute {name!r}")
    return getattr(importlib.import_module(f"reagent_sdk.tools.{_HOME[name]}"), name)
