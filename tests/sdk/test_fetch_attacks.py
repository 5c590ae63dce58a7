from __future__ import annotations

import sys

import pytest
from reagent_benchmarks import web_attacks

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 exists without set-up on Linux only"),
]


async def test_every_attack_is_stopped() -> None:
    outcomes = await web_attacks.run_attacks()
    assert len(outcomes) > 50
    assert len({name for name, _, _ in outcomes}) == len(outcomes)
    assert [name for name, _, stopped in outcomes if not stopped] == []


async def test_without_the_guard_the_attacks_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attacks are real: take the judgement of addresses away and they reach the server inside."""
    monkeypatch.setattr("reagent_sdk.tools.web.connect.Guard.check", lambda self, address: None)
    through = {
        *("http://127.0.0.1/", "http://①②⑦.⓪.⓪.①/", "public name of 127.0.0.1", "redirect to http://127.0.0.1/"),
        *("private answer among public ones", "DNS rebinding between redirects"),
    }
    monkeypatch.setattr(
        web_attacks, "attacks", lambda real=web_attacks.attacks: (one for one in real() if one.name in through)
    )
    outcomes = await web_attacks.run_attacks()
    assert {name for name, _, stopped in outcomes if not stopped} == through
