from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.web.errors import UrlRefused
from reagent_sdk.tools.web.settings import FetchSettings
from reagent_sdk.tools.web.urls import checked_url, literal_address

DEFAULT = FetchSettings()


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "data:text/html,x", "javascript:x"),
        *("dict://example.org:11211/", "ws://example.org/", "//example.org/", "example.org", "", "http:", "http:///x"),
        *("http:example.org", "http://user@example.org/", "http://user:secret@example.org/", "http://:@example.org/"),
        *("http://example.org:22/", "http://example.org:0/", "http://example.org:99999/"),
        *("http://example.org:80:80/", "http://exa mple.org/", "http://example%2eorg/", "http://example.org%00.evil/"),
        *("http://[::1", "http://[::1%25lo/", "http://\u200bexample.org/", "http://.example.org/"),
        *("http://example..org/", "http://example.org../", f"http://{'a' * 64}.org/", "http://" + "a." * 130 + "org/"),
        *("http://evil\\@example.org/", "http://example.org/" + "a" * 9000, "http://\ud800/"),
    ],
)  # fmt: skip
def test_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        checked_url(url, DEFAULT)


@pytest.mark.parametrize(
    "host",
    [
        *("2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "0"),
        *("127.0.0.1.", "127.0.0.01", "127.0.0.0x1", "08.1.1.1", "256.1.1.1", "1.2.3.4.5", "example.1", "example.0x1"),
    ],
)
def test_odd_spellings_of_addresses_are_refused(host: str) -> None:
    with pytest.raises(UrlRefused, match="odd spelling"):
        checked_url(f"http://{host}/", DEFAULT)


@pytest.mark.parametrize("host", ["127。0。0。1", "①②⑦.⓪.⓪.①", "127.0.0.1\t"])
def test_letters_that_mean_digits_become_the_address_that_is_judged(host: str) -> None:
    url = checked_url(f"http://{host}/", DEFAULT)
    assert str(literal_address(url.raw_host or "")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://example.org", "https://example.org"),
        ("HTTP://Example.ORG:80/a?b#c", "http://example.org/a?b"),
        (" https://bücher.example/ ", "https://xn--bcher-kva.example/"),
        ("https://example.org./", "https://example.org./"),
        ("https://example.org:8443/ä b", "https://example.org:8443/%C3%A4%20b"),
        ("http://h#@evil/", "http://h"),
        ("http://[2606:4700::1]/", "http://[2606:4700::1]/"),
        ("https://a_b.example.org/", "https://a_b.example.org/"),
    ],
)
def test_called(url: str, called: str) -> None:
    assert str(checked_url(url, DEFAULT)) == called


@pytest.mark.parametrize(
    ("location", "called"),
    [
        ("b", "https://h/a/b"),
        ("/b", "https://h/b"),
        ("//g/b", "https://g/b"),
        ("http://g/", "http://g/"),
        ("?q", "https://h/a/?q"),
    ],
)
def test_references_are_joined(location: str, called: str) -> None:
    assert str(checked_url(location, DEFAULT, base=URL("https://h/a/"))) == called


def test_ports_are_a_setting() -> None:
    assert checked_url("http://h:9200/", FetchSettings(ports=None)).port == 9200
    assert checked_url("http://h:9200/", FetchSettings(ports=(9200,))).port == 9200
    with pytest.raises(UrlRefused, match="port 80 is not one of 9200"):
        checked_url("http://h/", FetchSettings(ports=(9200,)))


def test_a_denied_network_must_be_one() -> None:
    with pytest.raises(InvalidInput, match="networks"):
        FetchSettings(deny_networks=("example.org",))


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,30}[/?#@\\:]{0,3}.{0,20}", fullmatch=True))
def test_any_text_is_a_plain_http_url_or_refused(text: str) -> None:
    try:
        url = checked_url(text, DEFAULT)
    except UrlRefused:
        return
    assert url.scheme in ("http", "https")
    assert url.raw_host
    assert url.raw_user is None
    assert url.raw_password is None
    assert url.port in (DEFAULT.ports or ())
