"""Counts the calls of LlamaIndex models on the run's budget, and refuses those that it does not allow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from llama_index.core import Settings
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.token_counting import get_tokens_from_response

from reagent_adapters.critique import admit, charge, counted
from reagent_sdk import scope
from reagent_sdk.usage import Usage

_FRAMEWORK = ("llama_index.", "workflows.")
_LONGEST_CONTAINER = 50
_MOST_OBJECTS = 2_000

_under_way: ContextVar[dict[str, Any] | None] = ContextVar("reagent_llama_index_call", default=None)


class CallMeter(BaseCallbackHandler):
    """Admits each model call before it is made and charges its tokens afterwards; outside a run it does nothing.

    It hangs on the callback managers of the models. A callback, unlike an instrumentation handler, may refuse: what it
    raises reaches the caller before the model is called.
    """

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=[], event_ends_to_ignore=[])
        self._admitted: set[str] = set()

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        parent_id: str = "",
        **kwargs: Any,
    ) -> str:
        """Admits a model call.

        Raises:
            BudgetExceeded: the budget allows no further call.
        """
        if event_type is CBEventType.LLM and scope.enclosing_meter() is not None:
            outer = _under_way.get()
            if outer is None or not _same_call(outer, payload or {}):
                admit()
                self._admitted.add(event_id)
                _under_way.set(payload or {})
        return event_id

    def on_event_end(
        self, event_type: CBEventType, payload: dict[str, Any] | None = None, event_id: str = "", **kwargs: Any
    ) -> None:
        """Charges the tokens that the model reported, or counts the call as unmetered."""
        if event_id in self._admitted:
            self._admitted.discard(event_id)
            _under_way.set(None)
            prompt, completion = _tokens(payload or {})
            charge(counted(calls=0, prompt=prompt, completion=completion, unmetered=0 if prompt or completion else 1))

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing to do."""

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
        """Nothing to do."""


_METER = CallMeter()


def metered(root: object) -> None:
    """Hangs the meter on the models found in an agent, a workflow or a query engine, and on the default one."""
    for model in _models([root, getattr(Settings, "_llm", None)]):  # the public name would make one
        manager = getattr(model, "callback_manager", None)
        if not isinstance(manager, CallbackManager):
            manager = CallbackManager()
            model.callback_manager = manager
        if not any(isinstance(handler, CallMeter) for handler in manager.handlers):
            manager.add_handler(_METER)


def charged(before: Usage) -> Usage:
    """What an attempt used since `before`. One whose models could not be found counts as one call of unknown cost."""
    meter = scope.current().meter
    if meter.usage.calls == before.calls:
        charge(counted(calls=1))
    return meter.usage - before


def _models(root: list[Any]) -> Iterator[BaseLLM]:
    """Models in a container, in objects of LlamaIndex or derived from it, and in containers of theirs."""
    waiting: deque[Any] = deque([root])
    seen = {id(root)}
    while waiting and len(seen) < _MOST_OBJECTS:
        for value in _parts(waiting.popleft()):
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, BaseLLM):
                yield value
            elif isinstance(value, dict | list | tuple):
                waiting += [value] if len(value) <= _LONGEST_CONTAINER else []  # an index keeps its nodes in long ones
            elif any(base.__module__.startswith(_FRAMEWORK) for base in type(value).__mro__):
                waiting.append(value)


def _parts(whole: object) -> list[Any]:
    if isinstance(whole, dict):
        return list(whole.values())
    if isinstance(whole, list | tuple):
        return list(whole)
    return [*getattr(whole, "__dict__", {}).values(), *(getattr(whole, "__pydantic_private__", None) or {}).values()]


def _same_call(outer: dict[str, Any], inner: dict[str, Any]) -> bool:
    """Whether a model only passes a call on to another of its own methods: chat to complete, or async to sync."""
    if EventPayload.PROMPT in inner:
        return EventPayload.MESSAGES in outer or bool(outer.get(EventPayload.PROMPT) == inner[EventPayload.PROMPT])
    return bool(outer.get(EventPayload.MESSAGES) == inner.get(EventPayload.MESSAGES))


def _tokens(payload: dict[str, Any]) -> tuple[int, int]:
    """Prompt and completion tokens; zeros where the model reports none, or in a form that LlamaIndex cannot read."""
    response = payload.get(EventPayload.RESPONSE) or payload.get(EventPayload.COMPLETION)
    if response is None:
        return 0, 0
    try:
        prompt, completion = get_tokens_from_response(response)
    except (AttributeError, TypeError, ValueError):
        return 0, 0
    return prompt or 0, completion or 0
