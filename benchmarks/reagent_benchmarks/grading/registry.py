"""Graders by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any, Final

from reagent_benchmarks.grading.base import Grader
from reagent_sdk.errors import InvalidInput

_MADE_BY: Final = {
    "maths": "maths:MathsGrader",
    "text": "text:TextGrader",
    "f1": "text:F1Grader",
    "choice": "choice:ChoiceGrader",
    "yes_no": "choice:YesNoGrader",
    "numeric": "numeric:NumericGrader",
    "code": "code:CodeGrader",
    "calls": "calls:CallsGrader",
    "llm": "llm:LLMGrader",
}

GRADERS = tuple(_MADE_BY)
"""The names that `grader` knows."""


def grader(name: str, **options: Any) -> Grader:
    """Makes a grader.

    Args:
        name: one of `GRADERS`.
        **options: what its class takes, such as `threshold` for "f1"; "llm" needs `client`, a chat client or a model
            spec such as "local" or "http://127.0.0.1:8000/v1".

    Raises:
        InvalidInput: an unknown name, or an option that the grader does not have.
        MissingExtra: the grader needs a package that is not installed.
    """
    if name not in _MADE_BY:
        raise InvalidInput(f"{name!r} is not a grader; there are {', '.join(GRADERS)}")
    module, _, made_by = _MADE_BY[name].partition(":")
    made = getattr(import_module(f"reagent_benchmarks.grading.{module}"), made_by)
    if name == "llm" and isinstance(options.get("client"), str):
        from reagent_sdk.specs import client_for

        options["client"] = client_for(options["client"])
    signature = inspect.signature(made)
    try:
        signature.bind(**options)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no options"
        raise InvalidInput(f"grader {name!r}: {error}; it takes {takes}") from None
    graded: Grader = made(**options)
    return graded
