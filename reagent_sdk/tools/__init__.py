"""Tools for agents: `@tool` for your own functions, and six real ones."""

from __future__ import annotations

from reagent_sdk.tools.base import Tool, ToolResult
from reagent_sdk.tools.define import FunctionTool, as_tool, tool

__all__ = ["FunctionTool", "Tool", "ToolResult", "as_tool", "tool"]
