"""The Responses API on top of chats: pure translation, which keeps nothing between requests.

`to_chat` for the request, `from_chat` for a whole answer, `as_events` for a streamed one.
"""

from __future__ import annotations

from reagent_adapters.proxy.responses_object import from_chat
from reagent_adapters.proxy.responses_request import to_chat
from reagent_adapters.proxy.responses_stream import as_events

__all__ = ["as_events", "from_chat", "to_chat"]
