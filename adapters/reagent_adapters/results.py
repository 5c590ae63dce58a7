"""What adapters do with a framework's results: read the answer, keep the run with it."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic_core import to_json

from reagent_sdk.errors import AgentError, InvalidInput
from reagent_sdk.run import Run

T = TypeVar("T")
_NAME = "reagent_run"


def with_run(result: T, run: Run) -> T:
    """The same result object, from which :func:`run_of` reads the run."""
    object.__setattr__(result, _NAME, run)  # past models that would take it for data of theirs, and serialize it
    return result


def run_of(result: object) -> Run:
    """The run behind a result that an adapter returned: attempts, verdicts, which was chosen and why, usage.

    Raises:
        InvalidInput: the result did not come from an adapter.
    """
    run = getattr(result, _NAME, None)
    if not isinstance(run, Run):
        raise InvalidInput(f"this {type(result).__name__} comes from no critique; run the agent through its adapter")
    return run


def answer_text(output: object) -> str:
    """A framework's final output as the judge reads it: a text as it is, anything else as JSON.

    Raises:
        AgentError: there is no output, or only white space.
    """
    text = output if isinstance(output, str) else to_json(output, fallback=str).decode()
    if output is None or not text.strip():
        raise AgentError("the agent gave no answer")
    return text


def without_nones(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value: an absent key of a chat message is not a null one."""
    return {name: value for name, value in fields.items() if value is not None}
