from __future__ import annotations

import copy
import json
import pickle
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.secrets import MASK, Secret, excerpt, redact

KEY = "k3y-of-the-house"


def test_a_secret_shows_itself_nowhere_but_on_request() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret} {secret!r} {[secret]} {secret!s}"
    assert str(secret) == MASK
    assert secret.reveal() == KEY


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="anew"):
        pickle.dumps(Secret(KEY), protocol)


def test_a_copy_of_a_secret_is_the_secret() -> None:
    secret = Secret(KEY)
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("Incorrect API key provided: sk-proj-abc123DEF456.", "Incorrect API key provided", "abc123DEF456"),
        ('{"authorization": "Bearer abcdef123456"}', "authorization", "abcdef123456"),
        ("Authorization: Bearer abcdef123456, next", ", next", "abcdef123456"),
        ("x-api-key: verysecret", "x-api-key", "verysecret"),
        ("https://api.test/v1?api_key=abcdefgh&x=1", "&x=1", "abcdefgh"),
        ('{"password": "hunter22"}', "password", "hunter22"),
        ("http://ann:hunter22@host/v1", "@host/v1", "hunter22"),
        ("Basic YW5uOmh1bnRlcjI=", "Basic", "YW5u"),
        ("token hf_abcdefghij", "token", "abcdefghij"),
        ("AIzaSyA1234567890abcdef is not valid", "is not valid", "SyA123"),
    ],
)
def test_what_looks_like_a_key_is_masked(text: str, kept: str, gone: str) -> None:
    masked = redact(text)
    assert gone not in masked
    assert kept in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "the server wants a key; pass api_key= or set REAGENT_API_KEY",
        "Missing bearer token",
        "Basic authentication failed",
        "max_tokens: 5000 is too large; total_tokens=12",
        "http://127.0.0.1:8000/v1",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


@given(key=st.text(min_size=8, max_size=40), before=st.text(max_size=30), after=st.text(max_size=30))
def test_a_known_key_never_survives_in_any_form(key: str, before: str, after: str) -> None:
    for form in (key, json.dumps(key)[1:-1], quote(key, safe="")):
        masked = redact(f"{before}{form}{after}", Secret(key))
        assert form not in masked or form in MASK + before + after + MASK


def test_a_short_key_is_masked_as_a_word_only() -> None:
    assert redact("key x: unknown in max_tokens", Secret("x")) == f"key {MASK}: unknown in max_tokens"


@given(st.text(max_size=80))
def test_redaction_settles(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(max_size=500), st.integers(10, 200))
def test_an_excerpt_is_one_short_printable_line(text: str, limit: int) -> None:
    line = excerpt(text, limit=limit)
    assert len(line) <= limit
    assert line.isprintable()


def test_a_key_that_the_cut_would_halve_is_masked_first() -> None:
    line = excerpt("x" * 190 + " " + KEY, Secret(KEY))
    assert KEY[:4] not in line
