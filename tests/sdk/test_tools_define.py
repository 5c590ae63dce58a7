from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from pydantic import BaseModel, Field

from reagent_sdk import InvalidInput
from reagent_sdk.tools import ToolResult, as_tool, tool

from .strategies import json_values


@tool
def weigh(item: str, unit: Literal["kg", "lb"] = "kg", times: Annotated[int, Field(ge=1, le=9)] = 1) -> str:
    """Weighs an item.

    Slowly.

    Args:
        item: what to weigh.
        times: how often.
    """
    return f"{item} {unit} {times}"


class Area(BaseModel):
    """Area of a rectangle."""

    width: float
    height: float = 2.0

    def __call__(self) -> float:
        return self.width * self.height


def result(given_tool: Any, **arguments: Any) -> ToolResult:
    return asyncio.run(as_tool(given_tool).call(arguments))


def test_the_schema_comes_from_the_signature_and_the_docstring() -> None:
    assert weigh.name == "weigh"
    assert weigh.description == "Weighs an item.\nSlowly."
    schema = weigh.parameters
    assert schema["required"] == ["item"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["item"] == {"description": "what to weigh.", "title": "Item", "type": "string"}
    assert schema["properties"]["unit"]["enum"] == ["kg", "lb"]
    assert schema["properties"]["times"]["maximum"] == 9


def test_a_tool_is_still_its_function_and_calls_check_their_arguments() -> None:
    assert weigh("a") == "a kg 1"
    assert result(weigh, item="a", times=3) == ToolResult(text="a kg 3")
    for bad, says in [({}, "item"), ({"item": 1}, "item"), ({"item": "a", "times": 99}, "times"), ({"x": 1}, "x")]:
        failed = result(weigh, **bad)
        assert failed.error == "InvalidArguments"
        assert says in failed.text


def test_pydantic_models_are_tools() -> None:
    made = as_tool(Area)
    assert (made.name, made.description) == ("Area", "Area of a rectangle.")
    assert result(Area, width=3).text == "6.0"
    assert "width" in result(Area).text


# Every tool crash was reported as "not valid JSON" in the published code.
@pytest.mark.parametrize("error", [KeyError("k"), TimeoutError("slow"), ValueError("bad value"), RuntimeError()])
def test_defect_every_crash_was_called_invalid_json(error: Exception) -> None:
    def broken() -> None:
        """Breaks."""
        raise error

    async def broken_async() -> None:
        """Breaks, too."""
        raise error

    for made in (broken, broken_async):
        failed = result(made)
        assert failed.error == type(error).__name__
        assert failed.text.startswith(type(error).__name__)
        assert str(error) in failed.text
        assert "JSON" not in failed.text


@given(json_values)
def test_any_json_output_becomes_text(value: Any) -> None:
    def give() -> Any:
        """Gives."""
        return value

    assert isinstance(result(give).text, str)


def no_docstring(a: int) -> int:
    return a


def untyped(a) -> int:  # type: ignore[no-untyped-def]
    """Has no type."""
    return a


def variadic(*a: int) -> int:
    """Takes any number."""
    return len(a)


@pytest.mark.parametrize(
    ("function", "says"), [(no_docstring, "docstring"), (untyped, "a type for 'a'"), (variadic, "by name"), (7, "tool")]
)
def test_what_cannot_be_a_tool_says_why(function: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        as_tool(function)
