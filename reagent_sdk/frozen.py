"""The bases of the data types that cross a boundary: immutable, and closed to unknown fields."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reagent_sdk.errors import InvalidInput


class Frozen(BaseModel):
    """An immutable pydantic model that refuses unknown fields, and numbers that JSON cannot carry."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settings(Frozen):
    """What a user writes by hand. A mistake gives one line: which field, what is allowed, what was given."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise InvalidInput(_one_line(type(self), error)) from None


def first_problem(error: ValidationError, whole: str = "") -> str:
    """The first thing that is wrong, as `field: what`.

    Args:
        error: of a model.
        whole: what to name where no field is to blame; "" names nothing then.
    """
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or whole
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def _one_line(model: type[BaseModel], error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"][:1])
        if problem["type"] == "extra_forbidden":
            problems.append(f"{name} is not a setting; there are {', '.join(model.model_fields)}")
        else:
            problems.append(f"{name}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, not {problem['input']!r}")
    return f"{model.__name__}: " + "; ".join(dict.fromkeys(problems))
