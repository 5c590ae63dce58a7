"""A chat request, taken apart into what goes upstream and what is for the proxy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reagent_adapters.proxy.rules import FIELD, HEADER, Defaults, Rules, read_wish, split_model
from reagent_sdk.serving.answers import Refused

_OURS = (FIELD, "n", "stream", "stream_options")
_SEED_FIELD = "seed"


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        body: what goes upstream for each attempt: the request as it came, with the model's own name and without the
            fields that the proxy answers itself.
        rules: how it is served.
        n: how many answers are wanted.
        stream: whether they are wanted as events.
        stream_options: how the stream is wanted, as it came.
    """

    body: Mapping[str, Any]
    rules: Rules
    n: int = 1
    stream: bool = False
    stream_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def include_usage(self) -> bool:
        """Whether the stream ends with the usage."""
        return bool(self.stream_options.get("include_usage"))

    @property
    def messages(self) -> list[Any]:
        """The conversation, as it came."""
        messages: list[Any] = self.body["messages"]
        return messages

    def calls(self, per_verdict: int) -> int:
        """How many model calls it may need: one when it is bare, else those of all attempts of all its runs.

        Args:
            per_verdict: calls of the judge for one verdict.
        """
        return 1 if self.rules.bare else self.n * (1 + self.rules.policy.rounds) * (1 + per_verdict)

    @property
    def passed_on(self) -> dict[str, Any]:
        """The request as a bare one: with the fields that the proxy answers itself where it runs the loop."""
        body = dict(self.body)
        if self.n != 1:
            body["n"] = self.n
        if self.stream:
            body["stream"] = True
        if self.stream_options:
            body["stream_options"] = dict(self.stream_options)
        return body

    def body_of(self, choice: int) -> dict[str, Any]:
        """The request for one of `n` answers: the same seed would give the same answer `n` times."""
        seed = self.body.get(_SEED_FIELD)
        if choice and isinstance(seed, int) and not isinstance(seed, bool):
            return {**self.body, _SEED_FIELD: seed + choice}
        return dict(self.body)


def read_ask(given: Mapping[str, Any], header: str | None, defaults: Defaults, *, max_choices: int = 16) -> Ask:
    """Reads a chat request.

    Args:
        given: its body.
        header: value of `X-Reagent-Policy`.
        defaults: the server's own rules.
        max_choices: largest `n`.

    Raises:
        Refused: 400, naming the field that is wrong.
    """
    if not isinstance(given.get("messages"), list) or not given["messages"]:
        raise Refused(400, "messages must be a list of chat messages with at least one in it", param="messages")
    wishes: list[tuple[str, Mapping[str, Any]]] = []
    body = {name: value for name, value in given.items() if name not in _OURS}
    model = given.get("model")
    if isinstance(model, str):
        body["model"], suffix = split_model(model)
        wishes.append(("model", suffix))
    elif model is not None:
        raise Refused(400, "model must be a text", param="model")
    if header:
        wishes.append((HEADER, read_wish(header, HEADER)))
    wish = given.get(FIELD)
    if isinstance(wish, str):
        wishes.append((FIELD, read_wish(wish, FIELD)))
    elif isinstance(wish, Mapping):
        wishes.append((FIELD, wish))
    elif wish is not None:
        raise Refused(400, f'{FIELD} must be an object such as {{"rounds": 2}}', param=FIELD)
    return Ask(
        body=body,
        rules=defaults.merged(*wishes),
        n=_count(given.get("n"), max_choices),
        stream=_flag(given, "stream"),
        stream_options=_mapping(given, "stream_options"),
    )


def _count(n: object, most: int) -> int:
    if n is None:
        return 1
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= most:
        raise Refused(400, f"n must be a whole number from 1 to {most}", param="n")
    return n


def _mapping(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = given.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise Refused(400, f"{name} must be an object", param=name)
    return value or {}


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"{name} must be true or false", param=name)
    return bool(value)
