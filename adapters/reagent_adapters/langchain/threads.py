"""The thread of a graph that remembers: revisions go on in it, and in the end it holds what was chosen."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Self

import anyio.to_thread
from langchain_core.messages import BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import merge_configs
from langgraph.channels.base import BaseChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import EmptyChannelError, InvalidUpdateError
from langgraph.graph import END, START
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot


class Thread:
    """One thread of one graph during a run.

    Args:
        graph: the graph; its checkpointer keeps the thread.
        config: names the thread.
        blocking: use the checkpointer's sync methods, in a worker thread.
    """

    def __init__(self, graph: Pregel[Any, Any, Any, Any], config: RunnableConfig, blocking: bool) -> None:
        self._graph = graph
        self._blocking = blocking
        here = {key: value for key, value in config.get("configurable", {}).items() if key != "checkpoint_id"}
        self._config = RunnableConfig(configurable=here)
        self._heads: list[StateSnapshot] = []

    @classmethod
    def of(cls, bound: Runnable[Any, Any], config: RunnableConfig, blocking: bool) -> Self | None:
        """The thread that a call goes on with; None for anything but a graph with a checkpointer and a thread."""
        while isinstance(bound, RunnableBindingBase):
            config, bound = merge_configs(bound.config, config), bound.bound
        if not isinstance(bound, Pregel) or not isinstance(bound.checkpointer, BaseCheckpointSaver):
            return None
        config = merge_configs(bound.config, config)
        return cls(bound, config, blocking) if "thread_id" in config.get("configurable", {}) else None

    async def messages(self) -> list[BaseMessage]:
        """The conversation so far."""
        snapshot = await self._snapshot()
        values = snapshot.values if isinstance(snapshot.values, dict) else {}
        return list(values.get("messages", []))

    async def landed(self) -> bool:
        """Notes where an attempt ended. False when it has not ended: it waits for someone to go on with it."""
        snapshot = await self._snapshot()
        if snapshot.next:
            return False
        self._heads.append(snapshot)
        return True

    def forgets(self) -> bool:
        """Whether messages can be removed from the graph's state."""
        channel = self._graph.channels.get("messages")
        if not isinstance(channel, BaseChannel):
            return False
        try:
            probe = channel.copy()
            probe.update([[HumanMessage("probe", id="probe")]])
            probe.update([[RemoveMessage(id="probe")]])
            return list(probe.get()) == []
        except (AttributeError, TypeError, ValueError, InvalidUpdateError, EmptyChannelError):
            return False

    async def settle(self, chosen: int, ids: Collection[str]) -> None:
        """Makes an attempt's end the end of the thread, without some messages.

        Args:
            chosen: which attempt; what came after it stays in the thread's history only.
            ids: the messages that are to go: critiques and rejected answers.
        """
        if not self._heads:
            return
        head = self._heads[min(chosen, len(self._heads) - 1)]
        present = {message.id for message in head.values.get("messages", [])}
        gone = [RemoveMessage(id=name) for name in ids if name in present] if self.forgets() else []
        if gone:
            await self._update(head.config, {"messages": gone})
        elif (await self._snapshot()).config != head.config:
            await self._update(head.config, None)

    async def _update(self, config: RunnableConfig, values: dict[str, Any] | None) -> None:
        try:
            await self._call(self._graph.update_state, self._graph.aupdate_state, config, values)
        except InvalidUpdateError:  # several nodes came last: any may stand for them, as no step follows
            node = next(name for name in self._graph.nodes if name != START)
            await self._call(self._graph.update_state, self._graph.aupdate_state, config, values, node)
        if (await self._snapshot()).next:
            await self._call(self._graph.update_state, self._graph.aupdate_state, self._config, None, END)

    async def _snapshot(self) -> StateSnapshot:
        found: StateSnapshot = await self._call(self._graph.get_state, self._graph.aget_state, self._config)
        return found

    async def _call(self, blocking: Callable[..., Any], free: Callable[..., Any], *args: Any) -> Any:
        if self._blocking:
            return await anyio.to_thread.run_sync(partial(blocking, *args))
        return await free(*args)
