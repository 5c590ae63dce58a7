"""Tools, tool choice and output format of a Responses request in the chat format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reagent_adapters.proxy.responses_parts import as_list, as_object, expect, text_field, unsupported
from reagent_adapters.proxy.upstream import Json

_FUNCTION = ("name", "description", "parameters", "strict")
_FORMAT = ("name", "description", "schema", "strict")


def tools_of(body: Mapping[str, Any]) -> Json:
    """The chat fields about tools; none of them where there are no tools, because chat servers refuse them then.

    Raises:
        Refused: 400, naming a tool that the caller does not run itself, or a choice of one.
    """
    tools = as_list(body.get("tools"), "tools")
    functions = [_function(tool, f"tools[{number}]") for number, tool in enumerate(tools)]
    choice, allowed = _choice(body.get("tool_choice"))
    if allowed is not None:
        functions = [tool for tool in functions if tool["function"]["name"] in allowed]
    found: Json = {}
    if functions:
        found["tools"] = functions
        if isinstance(body.get("parallel_tool_calls"), bool):
            found["parallel_tool_calls"] = body["parallel_tool_calls"]
    if choice is not None and (functions or choice not in ("auto", "none")):
        found["tool_choice"] = choice
    return found


def format_of(body: Mapping[str, Any]) -> Json:
    """The chat fields for the form of the text.

    Raises:
        Refused: 400, naming what is wrong with it.
    """
    text = as_object(body.get("text"), "text")
    found: Json = {"verbosity": text["verbosity"]} if text.get("verbosity") else {}
    form = as_object(text.get("format"), "text.format")
    kind = form.get("type", "text")
    if kind == "json_schema":
        text_field(form, "name", "text.format")
        expect(isinstance(form.get("schema"), Mapping), "text.format.schema", "must be a JSON schema")
        schema = {name: form[name] for name in _FORMAT if form.get(name) is not None}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind == "json_object":
        found["response_format"] = {"type": "json_object"}
    elif kind != "text":
        raise unsupported("text.format.type", "must be text, json_schema or json_object")
    return found


def _function(given: object, where: str) -> Json:
    tool = as_object(given, where)
    kind = tool.get("type")
    if kind != "function":
        told = f"{str(kind)[:60]!r} is run by OpenAI, and nothing here runs it; only function tools are served"
        raise unsupported(f"{where}.type", told)
    text_field(tool, "name", where)
    return {"type": "function", "function": {name: tool[name] for name in _FUNCTION if tool.get(name) is not None}}


def _choice(given: object) -> tuple[str | Json | None, set[str] | None]:
    """The choice in the chat format, and the names that it leaves, None for all."""
    if given is None or isinstance(given, str):
        expect(given in (None, "auto", "none", "required"), "tool_choice", "must be auto, none, required or an object")
        return given, None
    choice = as_object(given, "tool_choice")
    kind = choice.get("type")
    if kind == "function":
        return {"type": "function", "function": {"name": text_field(choice, "name", "tool_choice")}}, None
    if kind == "allowed_tools":
        tools, mode = as_list(choice.get("tools"), "tool_choice.tools"), choice.get("mode")
        expect(mode in ("auto", "required"), "tool_choice.mode", "must be auto or required")
        names = {_allowed(tool, number) for number, tool in enumerate(tools)}
        return str(mode), names
    raise unsupported("tool_choice.type", f"{str(kind)[:60]!r} is run by OpenAI, and nothing here runs it")


def _allowed(given: object, number: int) -> str:
    where = f"tool_choice.tools[{number}]"
    tool = as_object(given, where)
    expect(tool.get("type") == "function", where, "must be a function")
    return text_field(tool, "name", where)
