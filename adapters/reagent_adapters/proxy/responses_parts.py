"""Content parts of the Responses API as parts of a chat message, and how their faults are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reagent_adapters.proxy.upstream import Json
from reagent_sdk.serving.answers import Refused

_TEXTS = ("input_text", "output_text", "text", "summary_text")


def unsupported(param: str, told: str) -> Refused:
    """The refusal of something that a chat cannot express."""
    return Refused(400, f"{param} {told}", code="unsupported_parameter", param=param)


def expect(fine: bool, param: str, told: str) -> None:
    """Refuses with 400 what is not as it must be."""
    if not fine:
        raise Refused(400, f"{param} {told}", code="invalid_value", param=param)


def as_object(value: object, param: str) -> Mapping[str, Any]:
    """The value, which must be an object; None stands for an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise Refused(400, f"{param} must be an object", code="invalid_value", param=param)
    return value


def as_list(value: object, param: str) -> Sequence[Any]:
    """The value, which must be a list; None stands for an empty one."""
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise Refused(400, f"{param} must be a list", code="invalid_value", param=param)
    return value


def text_field(item: Mapping[str, Any], name: str, where: str) -> str:
    """A field that must be a text with something in it."""
    value = item.get(name)
    expect(isinstance(value, str) and bool(value), f"{where}.{name}", "must be a text")
    return str(value)


def content_of(content: object, where: str, *, joined: bool) -> tuple[str | list[Json], str | None]:
    """The content of a message, and its refusal.

    Args:
        content: a text, or a list of parts.
        where: its place in the request.
        joined: whether texts become one, as what assistants said does. A single text always does, because
            not every server takes parts.

    Raises:
        Refused: 400, naming a part that a chat cannot hold.
    """
    if isinstance(content, str):
        return content, None
    parts, refusals = [], []
    for number, row in enumerate(as_list(content, where)):
        place = f"{where}[{number}]"
        part = as_object(row, place)
        if part.get("type") == "refusal":
            refusals.append(text_field(part, "refusal", place))
        else:
            parts.append(_part(part, place))
    texts = [part["text"] for part in parts if part["type"] == "text"]
    refusal = "".join(refusals) if refusals else None
    if len(texts) == len(parts) and (joined or len(texts) <= 1):
        return "".join(texts), refusal
    return parts, refusal


def tool_content(output: object, where: str) -> str | list[Json]:
    """What a tool returned: a text where it can be one.

    Raises:
        Refused: 400, naming a part that a chat cannot hold.
    """
    if isinstance(output, str):
        return output
    return content_of(output, where, joined=False)[0]


def _part(part: Mapping[str, Any], where: str) -> Json:
    kind = part.get("type")
    if kind in _TEXTS:
        text = part.get("text")
        expect(isinstance(text, str), f"{where}.text", "must be a text")
        return {"type": "text", "text": text}
    if kind == "input_image":
        if not part.get("image_url"):
            raise unsupported(f"{where}.file_id", "names a file, and none are kept here; send image_url")
        image = {"url": text_field(part, "image_url", where)}
        if part.get("detail"):
            image["detail"] = text_field(part, "detail", where)
        return {"type": "image_url", "image_url": image}
    if kind == "input_file":
        if part.get("file_url"):
            raise unsupported(f"{where}.file_url", "has no counterpart in a chat; send file_data")
        names = ("file_data", "file_id", "filename")
        return {"type": "file", "file": {name: part[name] for name in names if part.get(name)}}
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    raise unsupported(f"{where}.type", f"{str(kind)[:60]!r} has no counterpart in a chat")
