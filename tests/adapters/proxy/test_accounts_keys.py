"""The key file and the keys in force."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reagent_adapters.proxy.accounts_book import KeyBook
from reagent_adapters.proxy.accounts_limits import Limits
from reagent_adapters.proxy.key_file import KeyEntry, new_key, read_keys

from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import redact
from reagent_sdk.serving.log import EventLog

KEY = "rk-0123456789abcdef0123456789abcdef"
OTHER = "another-key-of-the-team-0001"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_toml_file_with_every_setting(tmp_path: Path) -> None:
    file = write(
        tmp_path / "keys.toml",
        f"""
        [[keys]]
        name = "team-a"
        sha256 = ["{digest(KEY)}", "{digest(OTHER).upper()}"]
        requests_per_minute = 60
        tokens_per_minute = 100_000
        calls = 1000
        tokens = 5_000_000
        usd = 20
        usd_if_unpriced = 0.01
        tokens_if_unmetered = 4000
        period = "month"
        expires = 2027-01-31T18:00:00+01:00
        models = ["gpt-4o*", "judge"]

        [[keys]]
        name = "bob@example.com"
        key = "bobs-own-secret-0123"
        """,
    )
    team, bob = read_keys(file)
    assert team.digests == (bytes.fromhex(digest(KEY)), bytes.fromhex(digest(OTHER)))
    assert team.model_dump(exclude={"digests", "name"}) == {
        "requests_per_minute": 60,
        "tokens_per_minute": 100_000,
        "calls": 1000,
        "tokens": 5_000_000,
        "usd": 20.0,
        "period": "month",
        "usd_if_unpriced": 0.01,
        "tokens_if_unmetered": 4000,
        "expires": datetime(2027, 1, 31, 17, tzinfo=UTC),
        "models": ("gpt-4o*", "judge"),
    }
    assert bob.name == "bob@example.com"
    assert bob == KeyEntry(name=bob.name, digests=(hashlib.sha256(b"bobs-own-secret-0123").digest(),))


def test_json_says_the_same(tmp_path: Path) -> None:
    row = {"name": "a", "key": KEY, "usd": 1.5, "expires": "2027-01-31", "models": ["m"]}
    (entry,) = read_keys(write(tmp_path / "keys.json", json.dumps({"keys": [row]})))
    assert entry.expires == datetime(2027, 1, 31, tzinfo=UTC)
    assert not entry.expired(datetime(2027, 1, 30, 23, 59, 59, tzinfo=UTC))
    assert entry.expired(datetime(2027, 1, 31, tzinfo=UTC))
    assert entry.allows("m")
    assert not entry.allows("M")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": "a"}, "entry 'a' needs either sha256 or key"),
    ({"name": "a", "key": KEY, "sha256": "0" * 64}, "entry 'a' needs either sha256 or key"),
    ({"key": KEY}, "entry 1 needs a name"),
    ({"name": KEY, "key": KEY}, "entry 1 needs a name"),
    ({"name": "0123456789abcdef0123456789abcdef", "key": KEY}, "entry 1 needs a name"),
    ({"name": "open", "key": KEY}, "take another"),
    ({"name": "pass-through", "key": KEY}, "take another"),
    ({"name": "a", "key": "short-key"}, "can be guessed"),
    ({"name": "a", "key": f"{KEY} with blanks"}, "without blanks"),
    ({"name": "a", "sha256": KEY}, "sha256sum"),
    ({"name": "a", "sha256": []}, "sha256sum"),
    ({"name": "a", "key": KEY, "requests_per_minute": 0}, "requests_per_minute: Input should be greater"),
    ({"name": "a", "key": KEY, "calls": True}, "calls: Input should be a valid integer"),
    ({"name": "a", "key": KEY, "usd": "1"}, "usd: Input should be a valid number"),
    ({"name": "a", "key": KEY, "usd": float("inf")}, "usd: Input should be a finite number"),
    ({"name": "a", "key": KEY, "usd_if_unpriced": 0}, "usd_if_unpriced: Input should be greater"),
    ({"name": "a", "key": KEY, "period": KEY}, "period: Input should be 'day', 'month' or 'total'"),
    ({"name": "a", "key": KEY, "expires": "soon"}, "expires: is no time"),
    ({"name": "a", "key": KEY, "expires": "2027-01-31T18:00:00"}, "expires: has no time zone"),
    ({"name": "a", "key": KEY, "expires": 7}, "expires: is no time"),
    ({"name": "a", "key": KEY, "models": []}, "models: "),
    ({"name": "a", "key": KEY, "rpm": 5}, "rpm is not a setting; there are name, key, sha256, requests_per_minute"),
    ({"name": "a", "key": KEY, "digests": ["x"]}, "digests is not a setting"),
    ({"name": "a", KEY: 1}, "entry 'a' needs either"),
    ({"name": "a", "sha256": "0" * 64, KEY: 1}, "one of its fields is not a setting"),
]


@pytest.mark.parametrize(("row", "told"), WRONG)
def test_a_wrong_entry_is_named_and_no_key_is_shown(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    file = write(tmp_path / "keys.json", json.dumps({"keys": [row]}))
    with pytest.raises(InvalidInput) as caught:
        read_keys(file)
    assert told in str(caught.value)
    shown = repr(caught.value) + repr(caught.value.__context__) + repr(caught.value.__cause__)
    assert KEY not in shown
    assert "short-key" not in shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys.toml", f"[[keys]]\nname = 'a'\nkey = {KEY}"),
        ("keys.toml", f"{KEY} = 1\n{KEY} = 2\n"),
        ("keys.toml", f"[{KEY}]\n[{KEY}]\n"),
        ("keys.json", f'{{"keys": [{{"key": "{KEY}"'),
        ("keys.json", f'"{KEY}"'),
        ("keys.json", "[" * 100_000),
        ("keys.toml", f"'{KEY}' = 1"),
        ("keys.toml", "keys = []"),
        ("keys.toml", f"keys = ['{KEY}']"),
        ("keys.toml", f"extra = 1\n[[keys]]\nname='a'\nkey='{KEY}'"),
        ("keys.toml", ""),
    ],
)
def test_a_file_that_is_none_is_refused_without_quoting_it(tmp_path: Path, name: str, text: str) -> None:
    file = write(tmp_path / name, text)
    with pytest.raises(InvalidInput, match="the key file") as caught:
        read_keys(file)
    assert KEY not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read_keys(tmp_path / "none.toml")
    (tmp_path / "keys.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="is not text"):
        read_keys(tmp_path / "keys.toml")
    (tmp_path / "keys.toml").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(InvalidInput, match="larger than"):
        read_keys(tmp_path / "keys.toml")


def test_two_entries_share_neither_name_nor_key(tmp_path: Path) -> None:
    for second, told in ((("a", OTHER), "two entries are named 'a'"), (("b", KEY), "'a' and 'b' have the same key")):
        rows = [{"name": "a", "sha256": digest(KEY)}, {"name": second[0], "key": second[1]}]
        with pytest.raises(InvalidInput, match=told):
            read_keys(write(tmp_path / "keys.json", json.dumps({"keys": rows})))


def test_new_keys_differ_are_masked_and_open(tmp_path: Path) -> None:
    drawn = [new_key() for _ in range(50)]
    assert len({key for key, _ in drawn}) == 50
    for key, sha256 in drawn:
        assert redact(f"the key {key} was") == "the key *** was"
        assert digest(key) == sha256
    rows = [{"name": f"n{number}", "sha256": sha256} for number, (_, sha256) in enumerate(drawn)]
    book = KeyBook.from_file(write(tmp_path / "keys.json", json.dumps({"keys": rows})))
    assert [book.find(key.encode()) for key, _ in drawn] == list(book.entries)


def test_the_shell_command_of_the_guide_makes_the_digest(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "proxy-keys.md").read_text()
    commands = ["KEY=rk-$(openssl rand -hex 32)", 'printf %s "$KEY" | sha256sum']
    assert all(command in guide for command in commands)
    ran = subprocess.run(
        ["bash", "-c", "\n".join([*commands, 'echo "$KEY"'])], capture_output=True, text=True, check=True
    )
    sha256, _, key = ran.stdout.split()
    assert digest(key) == sha256


# --- the book ---


def entry(name: str, *keys: str, **limits: Any) -> KeyEntry:
    return KeyEntry(name=name, digests=tuple(hashlib.sha256(key.encode()).digest() for key in keys), **limits)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8, unique=True), st.binary(max_size=20))
def test_a_key_finds_its_own_entry_and_nothing_else_does(keys: list[bytes], stranger: bytes) -> None:
    entries = [KeyEntry(name=f"n{i}", digests=(hashlib.sha256(key).digest(),)) for i, key in enumerate(keys)]
    book = KeyBook(entries)
    assert [book.find(key) for key in keys] == entries
    assert (book.find(stranger) is None) == (stranger not in keys)


def test_every_digest_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def noted(known: bytes, asked: bytes) -> bool:
        compared.append(known)
        return real(known, asked)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    book = KeyBook([entry("a", "one", "two"), entry("b", "three")])
    for key in ("one", "two", "three", "none of them"):
        compared.clear()
        book.find(key.encode())
        assert compared == [digest for e in book.entries for digest in e.digests]


def test_a_key_is_in_no_repr() -> None:
    book = KeyBook([entry("a", KEY)])
    told = repr(book) + repr(vars(book)) + repr(book.entries) + str(book.entries[0])
    assert KEY not in told
    assert digest(KEY) not in told


def test_a_book_needs_an_entry() -> None:
    with pytest.raises(InvalidInput, match="at least one entry"):
        KeyBook([])


def keys_file(path: Path, *names: str) -> None:
    """Puts a file in place in one step, as deployments do."""
    draft = path.with_suffix(".new")
    draft.write_text("".join(f'[[keys]]\nname = "{name}"\nsha256 = "{digest(name)}"\n' for name in names))
    os.replace(draft, path)


def test_a_changed_file_takes_over_within_a_second_and_a_wrong_one_never(tmp_path: Path) -> None:
    file, out, now = tmp_path / "keys.toml", io.StringIO(), 100.0
    keys_file(file, "old")
    book = KeyBook.from_file(file, log=EventLog(out), clock=lambda: now)

    keys_file(file, "old", "new")
    assert book.find(b"new") is None  # looked at once a second only
    now += 1.0
    assert book.find(b"new") is not None

    write(file, f'[[keys]]\nname = "x"\nkey = "{KEY}"\nrpm = 3\n')
    now += 1.0
    assert book.find(b"new") is not None
    assert book.find(KEY.encode()) is None
    now += 1.0
    assert book.find(b"new") is not None
    assert out.getvalue().count("keys-kept") == 1  # told once, not at every request
    assert "rpm is not a setting" in out.getvalue()

    file.unlink()
    now += 1.0
    assert book.find(b"old") is not None
    assert "cannot read the key file" in out.getvalue()

    keys_file(file, "new")
    now += 1.0
    assert book.find(b"old") is None
    assert book.find(b"new") is not None
    assert "keys-read entries=1" in out.getvalue()
    assert KEY not in out.getvalue()


def test_a_missing_file_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        KeyBook.from_file(tmp_path / "keys.toml")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=10))
def test_without_a_list_every_model_is_allowed(model: str) -> None:
    assert Limits().allows(model)
    assert Limits(models=("*",)).allows(model)
