"""Tools from plain typed functions and pydantic models."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, get_type_hints, overload

import anyio.to_thread
from pydantic import BaseModel, Field, ValidationError, create_model

from reagent_sdk.calling import is_async
from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.base import Tool, ToolResult

PageNumber = Annotated[int, Field(ge=1, le=100_000)]
"""Which part of a long text to show. Bounded: small models under a grammar write endless digits otherwise."""


class FunctionTool:
    """A function as a tool: its signature is the schema, its docstring the description.

    A sync function runs in a worker thread. What it raises becomes a result that names the error; what it returns
    becomes text, as JSON where it is not text already. Still callable like the function itself.
    """

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, description: str | None = None
    ) -> None:
        self._function = function
        self._model = _arguments_model(function)
        self.name = name or function.__name__
        self.description = description or _summary(function)
        if not self.description:
            raise InvalidInput(f"the tool {self.name} needs a docstring: it tells the model what the tool does")
        self.__doc__ = self.description

    def __repr__(self) -> str:
        return f"tool({self.name})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function itself."""
        return self._function(*args, **kwargs)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments."""
        schema = self._model.model_json_schema()
        schema.pop("title", None)
        schema.pop("description", None)
        return schema

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Checks the arguments against the schema and calls the function."""
        try:
            model = self._model.model_validate(dict(arguments))
        except ValidationError as error:
            return ToolResult.failed("InvalidArguments", describe_problems(error))
        values = {name: getattr(model, name) for name in type(model).model_fields if name in model.model_fields_set}
        try:
            if is_async(self._function):
                output = await self._function(**values)
            else:
                output = await anyio.to_thread.run_sync(lambda: self._function(**values), abandon_on_cancel=True)
        except Exception as error:  # the tool's own failure is what the model must hear about
            return ToolResult.failed(error)
        return output if isinstance(output, ToolResult) else ToolResult(text=as_text(output))


class MethodTool:
    """Base of tools that are one method, `_run`: its signature is the schema, its docstring the description."""

    name: str
    _run: Callable[..., Awaitable[ToolResult]]

    @cached_property
    def _tool(self) -> FunctionTool:
        return FunctionTool(self._run, name=self.name)

    @property
    def description(self) -> str:
        """What the model is told."""
        return self._tool.description

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of the arguments."""
        return self._tool.parameters

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Runs the tool. Whatever goes wrong is a result that says so."""
        return await self._tool.call(arguments)


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None
) -> Callable[[Callable[..., Any]], FunctionTool]: ...


def tool(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, description: str | None = None
) -> Any:
    """Makes a tool of a typed function; works with and without arguments.

    The signature becomes the schema. The docstring becomes the description, and its `Args:` section those of the
    parameters.

    Args:
        function: the function, when used without arguments.
        name: the tool's name; by default the function's.
        description: what the model is told; by default the docstring.

    Example:
        @tool
        def area(width: float, height: float) -> float:
            "Area of a rectangle in square metres."
            return width * height

    Raises:
        InvalidInput: the function has no docstring, or a parameter has no type or cannot be passed by name.
    """
    if function is None:
        return lambda decorated: FunctionTool(decorated, name=name, description=description)
    return FunctionTool(function, name=name, description=description)


def as_tool(given: object) -> Tool:
    """A tool out of a tool, a function, or a pydantic model class with a `__call__`.

    Raises:
        InvalidInput: it is none of these.
    """
    if inspect.isclass(given) and issubclass(given, BaseModel) and "__call__" in vars(given):
        return _model_tool(given)
    if isinstance(given, Tool):
        return given
    if callable(given):
        return FunctionTool(given)
    raise InvalidInput(f"{given!r} is not a tool: pass a typed function with a docstring, or use @tool")


def describe_problems(error: ValidationError) -> str:
    """What is wrong with a call's arguments, for the model that made it."""
    problems = (
        f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    )
    return "; ".join(problems)


def as_text(output: object) -> str:
    """A tool's output as text; JSON where it is not text."""
    if isinstance(output, str):
        return output
    if isinstance(output, BaseModel):
        return output.model_dump_json()
    try:
        return json.dumps(output, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(output)


def _model_tool(model: type[BaseModel]) -> FunctionTool:
    """A pydantic model as a tool: its fields are the arguments, calling the instance does the work."""

    def run(**values: Any) -> Any:
        return model(**values)()  # type: ignore[operator]

    made = object.__new__(FunctionTool)
    made._function, made._model = run, model
    made.name, made.description = model.__name__, inspect.getdoc(model) or ""
    if not made.description:
        raise InvalidInput(f"the tool {made.name} needs a docstring: it tells the model what the tool does")
    return made


def _arguments_model(function: Callable[..., Any]) -> type[BaseModel]:
    from docstring_parser import parse

    name = getattr(function, "__name__", type(function).__name__)
    hints = get_type_hints(function, include_extras=True)
    documented = {p.arg_name: p.description for p in parse(inspect.getdoc(function) or "").params}
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InvalidInput(f"the tool {name} cannot take {parameter}: models pass arguments by name")
        if parameter.name not in hints:
            raise InvalidInput(f"the tool {name} needs a type for {parameter.name!r}: it becomes the schema")
        default = ... if parameter.default is parameter.empty else parameter.default
        described = Field(default, description=documented.get(parameter.name))
        fields[parameter.name] = (hints[parameter.name], described)
    return create_model(name, __config__={"extra": "forbid"}, **fields)


def _summary(function: Callable[..., Any]) -> str:
    from docstring_parser import parse

    parsed = parse(inspect.getdoc(function) or "")
    return "\n".join(part for part in (parsed.short_description, parsed.long_description) if part)
