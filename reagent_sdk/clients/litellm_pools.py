"""Tidies up what litellm leaves behind in an event loop when that loop ends.

litellm keeps its HTTP clients in one cache for the whole process, keyed by the number of the loop, and leaves them open
when the loop ends. That warns about unclosed transports, and a later loop that happens to get the same number would be
given a client of the dead one. It also queues its log entries in the loop, and complains in the next loop about those
that were left. A loop that ends has no users left, so tidying up then harms nobody.

All of this reaches into litellm. Where a release of it looks different, nothing is done.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

from reagent_sdk.clients.loops import PerLoop


async def _tidy(loop: asyncio.AbstractEventLoop) -> None:
    await _finish_log(loop)
    await _close_clients(loop)


async def _finish_log(loop: asyncio.AbstractEventLoop) -> None:
    module = sys.modules.get("litellm.litellm_core_utils.logging_worker")
    worker: Any = getattr(module, "GLOBAL_LOGGING_WORKER", None)
    queue, take_back = getattr(worker, "_queue", None), getattr(worker, "_requeue_unstarted_dequeued", None)
    if queue is None or getattr(worker, "_bound_loop", None) is not loop or not callable(take_back):
        return
    take_back(queue)  # entries whose task was cancelled, with all others of the loop, before it began
    await worker.clear_queue()


async def _close_clients(loop: asyncio.AbstractEventLoop) -> None:
    cache = getattr(sys.modules.get("litellm"), "in_memory_llm_clients_cache", None)
    clients = getattr(cache, "cache_dict", None)
    if not isinstance(clients, dict):
        return
    for key in [key for key in list(clients) if str(key).endswith(f"-{id(loop)}")]:
        client = clients.pop(key, None)
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        closing = close() if callable(close) else None
        if inspect.isawaitable(closing):
            await closing


POOLS: PerLoop[asyncio.AbstractEventLoop] = PerLoop(asyncio.get_running_loop, _tidy)
"""One for the process, as litellm's cache is."""
