"""A conversation as token ids, built turn by turn: what the model wrote stays the very ids that it sampled.

Writing a conversation anew for each turn would tokenise the model's own text again, and a text has many tokenisations:
probabilities would then be those of tokens that were never sampled (re-tokenisation drift).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, assistant, user

_SAID = "a reply"
_STUB = (user("-"), assistant(_SAID))


class Dialogue:
    """Turns the pieces of a conversation into ids under a tokenizer's chat template.

    Args:
        tokenizer: with a chat template that leaves earlier turns as they are, and an end token after each reply.

    Raises:
        InvalidInput: the template rewrites earlier replies, or does not end them with the end token.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.end: int = tokenizer.eos_token_id
        # with a turn after it: templates of models that reason write the last reply unlike the ones before it
        self._head = self._closed(self._rendered((*_STUB, user("-")), begin=True))

    def opening(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation, up to where the assistant begins to write."""
        return self._ids(self._rendered(messages, begin=True))

    def between(self, messages: Sequence[Message]) -> list[int]:
        """Ids of what comes after the end token of a reply: further messages, up to where the next reply begins.

        Raises:
            InvalidInput: see the class.
        """
        whole = self._rendered((*_STUB, *messages), begin=True)
        if not whole.startswith(self._head):
            raise InvalidInput("the chat template rewrites earlier replies, so turns cannot be trained on as sampled")
        return self._ids(whole[len(self._head) :])

    def reply(self, text: str) -> list[int]:
        """Ids of a whole reply, its end token included."""
        return [*self._ids(text), self.end]

    def text(self, ids: Sequence[int]) -> str:
        """What ids of a reply say, without control tokens."""
        said: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return said

    def encode(self, messages: Sequence[Message], start: int | None = None) -> tuple[list[int], list[int]]:
        """Ids of a whole conversation, and which of them are the assistant's own: 1 for its tokens, 0 for all others.

        The boundaries are those of a rollout, so that SFT teaches the very tokens that RL samples.

        Args:
            messages: the conversation.
            start: how many messages were there before the assistant's first own turn, replies of an earlier attempt
                among them; by default all up to the first reply.
        """
        replies = (place for place, message in enumerate(messages) if message.role == "assistant")
        first = next(replies, len(messages)) if start is None else start
        ids = self.opening(messages[:first])
        own, waiting = [0] * len(ids), list[Message]()
        for place, message in enumerate(messages[first:]):
            if message.role != "assistant":
                waiting.append(message)
                continue
            given = self.between(waiting) if place else []
            written = self.reply(message.text)
            ids += [*given, *written]
            own += [0] * len(given) + [1] * len(written)
            waiting = []
        return ids, own

    def _rendered(self, messages: Sequence[Message], *, begin: bool = False) -> str:
        plain = [{**message.to_openai(), "content": message.text} for message in messages]
        text: str = self._tokenizer.apply_chat_template(plain, add_generation_prompt=begin, tokenize=False)
        return text

    def _closed(self, rendered: str) -> str:
        """The rendered text up to and with the end token of the stub's reply."""
        end = self._tokenizer.convert_ids_to_tokens(self.end)
        said = rendered.find(_SAID)
        place = rendered.find(end, said) if said >= 0 else -1
        if place < 0:
            raise InvalidInput(f"the chat template does not end replies with the tokenizer's end token {end!r}")
        return rendered[: place + len(end)]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
