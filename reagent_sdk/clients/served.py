"""What an OpenAI-compatible server serves, and with which engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reagent_sdk.errors import BadReply


@dataclass(frozen=True, slots=True)
class Served:
    """A model on a server.

    Attributes:
        model: its name there.
        owned_by: the engine that the server says it is, "" when unknown.
        judge: how a hosted judge wants to be asked (`prompt_version`, `max_chars`), as `reagent judge serve` tells.
    """

    model: str
    owned_by: str = ""
    judge: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def pick(cls, listed: Mapping[str, Any], model: str | None) -> Served:
        """Finds `model`, or the first one, in the answer of `/models`.

        Raises:
            BadReply: no model was named and none is listed.
        """
        data = listed.get("data")
        rows = [row for row in data if isinstance(row, Mapping)] if isinstance(data, list) else []
        owners = {row["id"]: row.get("owned_by") for row in rows if isinstance(row.get("id"), str) and row["id"]}
        found = model or next(iter(owners), None)
        if found is None:
            raise BadReply("the server lists no model; pass model=")
        # A name the server does not list, such as an alias, is still served by the same engine.
        owner = owners.get(found) or next(iter(owners.values()), None)
        told = next((row.get("reagent") for row in rows if row.get("id") == found), None)
        return cls(found, owner if isinstance(owner, str) else "", told if isinstance(told, Mapping) else {})

    def grammar_fields(self, grammar: str) -> dict[str, Any]:
        """How this server takes a grammar. Others get none: an unknown field may be ignored, or refused."""
        if self.owned_by == "llamacpp":
            return {"grammar": grammar}
        return {"structured_outputs": {"grammar": grammar}} if self.owned_by == "vllm" else {}
