"""Hypothesis strategies shared by the tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reagent_sdk.verdict import Verdict, VerdictStatus

TAGS = ("<analysis>", "</analysis>", "<think>", "</think>", "<critique>", "</critique>", "<score>", "</score>")

hostile_pieces = st.one_of(
    st.sampled_from(TAGS),
    st.sampled_from(["0.9", "1", "8/10", "90%", "-0.2", "nan", "\r\n", "{", "}", "%s", "{0}", "\x00", "🤖", "\u202e"]),
    st.text(max_size=20),
)
hostile_text = st.lists(hostile_pieces, max_size=12).map("".join)
plain_text = st.text(max_size=200).filter(lambda text: not any(tag in text for tag in TAGS))
scores = st.floats(0.0, 1.0)
failures = st.sampled_from([s for s in VerdictStatus if s is not VerdictStatus.SCORED])


@st.composite
def well_formed_verdicts(draw: st.DrawFn) -> Verdict:
    """Verdicts that have a text form: scored or abstained, with an analysis, the critique free of tags."""
    score = draw(st.one_of(scores, st.none()))
    status = VerdictStatus.ABSTAINED if score is None else VerdictStatus.SCORED
    analysis = draw(plain_text.filter(lambda text: bool(text.strip())))
    reason = "the judge abstained" if score is None else ""
    return Verdict(status=status, score=score, analysis=analysis, critique=draw(plain_text), reason=reason)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)

tool_calls = st.fixed_dictionaries(
    {
        "id": st.text(max_size=12),
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": st.text(min_size=1, max_size=10), "arguments": st.text(max_size=40)}
        ),
    },
    optional={"index": st.integers(0, 5)},
)
content_parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": st.text(max_size=30)}),
    st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.dictionaries(st.text(max_size=5), json_values)}
    ),
)
contents = st.one_of(st.text(max_size=60), st.none(), st.lists(content_parts, max_size=3))


@st.composite
def chat_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Messages in the OpenAI format, with null and absent keys, unknown keys, parts and parallel tool calls."""
    role = draw(st.sampled_from(["system", "developer", "user", "assistant", "tool"]))
    message: dict[str, Any] = {"role": role}
    if draw(st.booleans()) or role != "assistant":
        message["content"] = draw(contents)
    if role == "assistant" and draw(st.booleans()):
        message["tool_calls"] = draw(st.none() | st.lists(tool_calls, max_size=3))
    if role == "tool":
        message["tool_call_id"] = draw(st.text(max_size=12))
    if draw(st.booleans()):
        message["x_" + draw(st.text("abc", max_size=3))] = draw(json_values)
    return message
