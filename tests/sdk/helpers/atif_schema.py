"""ATIF 1.7 as its specification words it (Harbor's RFC 0001), written for the tests and apart from the exporter."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ImageSource(_Closed):
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    path: str


class Part(_Closed):
    type: Literal["text", "image"]
    text: str | None = None
    source: ImageSource | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Part:
        if (self.type == "text") != (self.text is not None) or (self.type == "image") != (self.source is not None):
            raise ValueError("a part holds a text or an image, as its type says")
        return self


class Call(_Closed):
    tool_call_id: str
    function_name: str
    arguments: dict[str, Any]
    extra: dict[str, Any] | None = None


class Result(_Closed):
    source_call_id: str | None = None
    content: str | list[Part] | None = None
    extra: dict[str, Any] | None = None


class Observation(_Closed):
    results: list[Result]


class Metrics(_Closed):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None


class Step(_Closed):
    step_id: int
    timestamp: str | None = None
    source: Literal["system", "user", "agent"]
    model_name: str | None = None
    reasoning_effort: str | float | None = None
    message: str | list[Part]
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    observation: Observation | None = None
    metrics: Metrics | None = None
    extra: dict[str, Any] | None = None
    llm_call_count: int | None = None
    is_copied_context: bool | None = None

    @model_validator(mode="after")
    def _rules(self) -> Step:
        if self.timestamp is not None:
            datetime.fromisoformat(self.timestamp)
        of_agents = (self.model_name, self.reasoning_effort, self.reasoning_content, self.tool_calls, self.metrics)
        if self.source != "agent" and any(value is not None for value in of_agents):
            raise ValueError("a field of agents on another's step")
        if self.source == "user" and self.observation is not None:
            raise ValueError("an observation on a user's step")
        ids = {call.tool_call_id for call in self.tool_calls or ()}
        for result in self.observation.results if self.observation else ():
            if result.source_call_id is not None and result.source_call_id not in ids:
                raise ValueError("a result of a call that is not in its step")
        return self


class Agent(_Closed):
    name: str
    version: str
    model_name: str | None = None
    tool_definitions: list[dict[str, Any]] | None = None
    extra: dict[str, Any] | None = None


class Totals(_Closed):
    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: int | None = None
    extra: dict[str, Any] | None = None


class Document(_Closed):
    schema_version: Literal["ATIF-v1.7"]
    session_id: str | None = None
    trajectory_id: str | None = None
    agent: Agent
    steps: list[Step]
    notes: str | None = None
    final_metrics: Totals | None = None
    continued_trajectory_ref: str | None = None
    extra: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _rules(self) -> Document:
        if [step.step_id for step in self.steps] != list(range(1, len(self.steps) + 1)):
            raise ValueError("steps are counted from 1")
        ids = [call.tool_call_id for step in self.steps for call in step.tool_calls or ()]
        if len(set(ids)) < len(ids) or "" in ids:
            raise ValueError("an id of a call is its own")
        if self.final_metrics and self.final_metrics.total_steps not in (None, len(self.steps)) and not self.notes:
            raise ValueError("a number of steps that nobody explains")
        return self
