"""A byte-level BPE tokenizer from tokenizer.json into a GGUF, chat template included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.models.llama import LlamaConfig
from reagent_sdk.models.pretokenizers import named

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # llama.cpp's kinds of tokens
_SPECIAL = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unk", "pad_token": "pad"}
_WAY_OUT = "name the GGUF of its base with --from, so that its tokenizer is carried over"


def add_tokenizer(writer: Any, folder: Path, config: LlamaConfig) -> None:
    """Writes tokens, merges, special tokens and the chat template into a GGUFWriter.

    Raises:
        InvalidInput: no tokenizer.json, or one that a GGUF cannot say or the engine would read otherwise.
    """
    tokenizer = read_tokenizer(folder)
    if tokenizer is None:
        raise InvalidInput(f"{folder} holds no tokenizer.json; {_WAY_OUT}")
    pre = _checked(folder, tokenizer)
    tokens, kinds = _tokens(folder, tokenizer, config.shape.vocab)
    told = _json(folder / "tokenizer_config.json")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([one if isinstance(one, str) else " ".join(one) for one in tokenizer["model"]["merges"]])
    ids = {token: number for number, token in enumerate(tokens)}
    configured = {"bos": config.bos, "eos": config.eos}
    for key, short in _SPECIAL.items():
        text = _text(told.get(key))
        number = ids[text] if text in ids else configured.get(short)
        if number is not None:
            getattr(writer, f"add_{short}_token_id")(number)
    writer.add_add_bos_token(_begins_with_token(tokenizer.get("post_processor")))
    writer.add_add_space_prefix(False)
    template = chat_template(folder, told)
    if template:
        writer.add_chat_template(template)


def read_tokenizer(folder: Path) -> dict[str, Any] | None:
    """The tokenizer.json of a folder; None when there is none.

    Raises:
        InvalidInput: it is damaged.
    """
    path = folder / "tokenizer.json"
    return _json(path) if path.is_file() else None


def chat_template(folder: Path, told: dict[str, Any]) -> str | None:
    """The chat template: a file of its own, or part of tokenizer_config.json, where it may be one of several."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = told.get("chat_template")
    if isinstance(template, list):
        template = {one.get("name"): one.get("template") for one in template}.get("default")
    return template if isinstance(template, str) else None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{path} is not a JSON object")
    return value


def _checked(folder: Path, tokenizer: dict[str, Any]) -> str:
    """The name of the way text is cut, once all else is known to be what llama.cpp does."""
    model = tokenizer.get("model") or {}
    pre = named(tokenizer.get("pre_tokenizer"), ignore_merges=bool(model.get("ignore_merges")))
    byte_level = (tokenizer.get("decoder") or {}).get("type") == "ByteLevel"
    plain = not any(model.get(key) for key in ("byte_fallback", "continuing_subword_prefix", "end_of_word_suffix"))
    if model.get("type") != "BPE" or not byte_level or not plain or pre is None or tokenizer.get("normalizer"):
        raise InvalidInput(f"the tokenizer in {folder} is not a byte-level BPE that can be written; {_WAY_OUT}")
    for token in tokenizer.get("added_tokens") or []:
        if any(token.get(key) for key in ("lstrip", "rstrip", "single_word")):
            raise InvalidInput(
                f"the token {token.get('content')!r} in {folder} takes in what is around it, which a GGUF cannot say; "
                f"{_WAY_OUT}"
            )
    return pre


def _tokens(folder: Path, tokenizer: dict[str, Any], vocab: int) -> tuple[list[str], list[int]]:
    """Text and kind of each id; ids that no token has are filled up."""
    normal: dict[str, int] = tokenizer["model"]["vocab"]
    added = {one["id"]: one for one in tokenizer.get("added_tokens") or []}
    by_id = {number: token for token, number in normal.items()} | {one: added[one]["content"] for one in added}
    if max(by_id, default=0) >= vocab:
        raise InvalidInput(
            f"the tokenizer in {folder} has {max(by_id) + 1} tokens and the model only {vocab}; "
            "resize the embeddings of the model, or bring the tokenizer that it was trained with"
        )
    kinds = [_NORMAL if one in by_id else _UNUSED for one in range(vocab)]
    for number, token in added.items():
        kinds[number] = _CONTROL if token.get("special") else _USER_DEFINED
    return [by_id.get(one, f"[PAD{one}]") for one in range(vocab)], kinds


def _text(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token


def _begins_with_token(post: Any) -> bool:
    """Whether a text gets a token of its own before it, as Llama 3's do."""
    if not isinstance(post, dict):
        return False
    if post.get("type") == "Sequence":
        return any(_begins_with_token(one) for one in post.get("processors") or [])
    single = post.get("single") if post.get("type") == "TemplateProcessing" else None
    return isinstance(single, list) and bool(single) and "SpecialToken" in single[0]
