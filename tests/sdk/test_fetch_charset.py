from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.tools.web.charset import decode, known_codec, looks_binary

JAPANESE = "東京は日本の首都です。人口は約千四百万人で、世界最大の都市のひとつです。"
RUSSIAN = "Москва - столица России, город федерального значения, административный центр."


@pytest.mark.parametrize(
    ("text", "codec", "declared"),
    [
        ("Grüße aus Köln", "utf-8", "utf-8"),
        ("Grüße aus Köln", "utf-8", None),
        ("Grüße - \u201eKöln\u201c", "cp1252", "iso-8859-1"),
        ("Grüße aus Köln", "latin-1", "latin1"),
        (JAPANESE, "shift_jis", "Shift_JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        ("北京是中国的首都。", "gbk", "GB2312"),
        ("서울은 대한민국의 수도", "cp949", "euc-kr"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        ("Hellø ✓", "utf-16-le", "utf-16"),
        ("Hellø ✓", "utf-16-be", "utf-16be"),
        ("Hellø ✓", "utf-16", None),
        ("Hellø ✓", "utf-8-sig", "latin-1"),
        ("Hellø ✓", "utf-32", None),
    ],
)
def test_decoded_as_declared(text: str, codec: str, declared: str | None) -> None:
    decoded = decode(text.encode(codec), declared)
    assert decoded.text == text
    assert not decoded.note


@pytest.mark.parametrize(
    "tag",
    [
        '<meta charset="{}">',
        "<META http-equiv=x content='text/html; charset={}'>",
        "<?xml version='1.0' encoding='{}'?>",
    ],
)
@pytest.mark.parametrize(("text", "codec"), [(JAPANESE, "shift_jis"), (RUSSIAN, "cp1251")])
def test_the_page_itself_says(tag: str, text: str, codec: str) -> None:
    page = tag.format(codec) + text
    assert decode(page.encode(codec), None).text == page


def test_a_tag_that_says_utf16_lies() -> None:
    page = '<meta charset="utf-16">Köln'
    assert decode(page.encode(), None).text == page


@pytest.mark.parametrize(("text", "codec"), [(JAPANESE, "shift_jis"), (RUSSIAN, "cp1251")])
def test_a_wrong_header_is_found_out(text: str, codec: str) -> None:
    decoded = decode(f"<meta charset={codec}>{text * 20}".encode(codec), "utf-8")
    assert text in decoded.text
    assert decoded.note.startswith("the server called the text 'utf-8'")


def test_utf8_called_latin1_is_found_out() -> None:
    decoded = decode("Grüße ✓".encode(), "iso-8859-1")
    assert (decoded.text, decoded.charset) == ("Grüße ✓", "utf-8")


def test_a_guess_where_nothing_is_said() -> None:
    assert decode((RUSSIAN * 10).encode("cp1251"), None).text == RUSSIAN * 10


def test_a_character_cut_in_two_does_not_spoil_the_rest() -> None:
    decoded = decode("Köln ✓".encode()[:-1], "utf-8")
    assert decoded.text == "Köln "
    assert decoded.charset == "utf-8"


@pytest.mark.parametrize(
    "label",
    [
        "idna",
        "punycode",
        "utf-7",
        "rot13",
        "zip",
        "bz2",
        "hex",
        "unicode_escape",
        "undefined",
        "x" * 99,
        "\0",
        "",
        "no-such",
    ],
)
def test_codecs_that_are_not_for_the_web(label: str) -> None:
    assert known_codec(label) is None
    assert decode(b"plain", label).text == "plain"


@given(
    st.binary(max_size=400), st.none() | st.text(max_size=20) | st.sampled_from(["utf-8", "big5", "utf-16", "johab"])
)
def test_any_bytes_become_text(body: bytes, declared: str | None) -> None:
    decoded = decode(body, declared)
    decoded.text.encode("utf-8", "surrogatepass")
    codecs.lookup(decoded.charset)


@pytest.mark.parametrize(
    "body", [bytes(100), bytes(range(256)), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0", b"\x7fELF" + bytes(50)]
)
def test_binary(body: bytes) -> None:
    assert looks_binary(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello\r\n\t",
        JAPANESE.encode("shift_jis"),
        "Hello".encode("utf-16"),
        "Hello there".encode("utf-16-le"),
        JAPANESE.encode("iso2022_jp"),
    ],
)
def test_text(body: bytes) -> None:
    assert not looks_binary(body)
