"""What a request wishes for: body field over header over model suffix over the server's own defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import Field

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Settings
from reagent_sdk.policy import Policy
from reagent_sdk.serving.answers import Refused

HEADER = "X-Reagent-Policy"
FIELD = "reagent"
_WORDS = {
    "critique": {"mode": "critique"},
    "bare": {"mode": "bare"},
    "final_only": {"stream": "final_only"},
    "drafts": {"stream": "drafts"},
}
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+")
_SUFFIX = re.compile(r":(?P<wish>critique|bare|final_only|drafts|\w+=[^:]*)$")
"""A last part of a model's name that is ours. `llama3:8b` and `ft:gpt-4o:org::id` are names."""


class Way(Settings):
    """How a request is served, besides the policy of its runs."""

    mode: str = Field("critique", pattern="^(critique|bare)$", description="`bare` passes the request through")
    stream: str = Field(
        "final_only", pattern="^(final_only|drafts)$", description="`drafts` shows attempts as they are written"
    )
    seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="time for the whole answer; the best draft there is when it is up"
    )


@dataclass(frozen=True)
class Rules:
    """What the runs of one request go by."""

    policy: Policy = field(default_factory=Policy)
    way: Way = field(default_factory=Way)

    @property
    def bare(self) -> bool:
        """Whether the request is only passed through."""
        return self.way.mode == "bare"

    @property
    def drafts(self) -> bool:
        """Whether a stream shows drafts."""
        return self.way.stream == "drafts"


@dataclass(frozen=True)
class Defaults:
    """What holds unless a request says otherwise, and how far it may go.

    Attributes:
        rules: the defaults.
        max_rounds: most revisions that a request may ask for.
        seconds: longest time for one request.
    """

    rules: Rules = field(default_factory=Rules)
    max_rounds: int = 4
    seconds: float = 600.0

    def merged(self, *wishes: tuple[str, Mapping[str, Any]]) -> Rules:
        """The rules of a request.

        Args:
            wishes: where a wish stands and what it sets, the strongest last.

        Raises:
            Refused: 400, for a wish that cannot be fulfilled; it names the field and where it stands.
        """
        rules = self.rules
        for where, wish in wishes:
            try:
                rules = self._with(rules, wish)
            except InvalidInput as error:
                problem = str(error).removeprefix("Policy: ").removeprefix("Way: ")
                raise Refused(400, f"{where}: {problem}", code="invalid_policy", param=where) from None
        seconds = min(self.seconds, rules.way.seconds or self.seconds)
        return replace(rules, way=rules.way.model_copy(update={"seconds": seconds}))

    def _with(self, rules: Rules, wish: Mapping[str, Any]) -> Rules:
        if unknown := [name for name in wish if name not in Policy.model_fields and name not in Way.model_fields]:
            known = ", ".join((*Policy.model_fields, *Way.model_fields))
            raise InvalidInput(f"{unknown[0]} is not a setting; there are {known}")
        asked = {name: value for name, value in wish.items() if name in Policy.model_fields}
        policy = Policy(**{**rules.policy.model_dump(), **asked})
        if policy.rounds > max(self.max_rounds, self.rules.policy.rounds):
            raise InvalidInput(f"rounds: this server allows at most {self.max_rounds}, not {policy.rounds}")
        way = {name: value for name, value in wish.items() if name in Way.model_fields}
        return Rules(policy, Way(**{**rules.way.model_dump(), **way}))


def split_model(name: str) -> tuple[str, dict[str, Any]]:
    """The model's own name, and what a suffix of ours wishes for: `NAME:critique`, `NAME:rounds=2,keep=last`.

    Raises:
        Refused: 400, for a suffix that cannot be read.
    """
    found = _SUFFIX.search(name)
    if found is None:
        return name, {}
    return name[: found.start()], read_wish(found["wish"], "model")


def read_wish(text: str, where: str) -> dict[str, Any]:
    """Reads `rounds=2, accept=0.8, keep=best, floor=none`, and the words `critique`, `bare`, `drafts`, `final_only`.

    Raises:
        Refused: 400, for anything else.
    """
    wish: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals and part in _WORDS:
            wish |= _WORDS[part]
        elif equals and name and value:
            wish[name] = _value(value)
        else:
            told = f"{where}: {part[:40]!r} is neither NAME=VALUE nor one of {', '.join(_WORDS)}"
            raise Refused(400, told, code="invalid_policy", param=where)
    return wish


def _value(text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    if _NUMBER.fullmatch(text):
        return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text) else float(text)
    return text
