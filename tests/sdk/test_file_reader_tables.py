from __future__ import annotations

import pytest
from reagent_benchmarks import file_attacks

pytestmark = pytest.mark.anyio


async def test_every_attack_is_stopped() -> None:
    rows = await file_attacks.run_attacks()
    assert len(rows) >= 20
    assert [row for row in rows if not row[2]] == []


CAME_BACK = {
    "report.xlsx": "290000",
    "report.csv": "290000",
    "report.html": "The **profit** was 42 million euros.",
    "report.jsonl": '{"profit": 43}',
    "report.txt": "Größe: 42 Straßen",
    "query in a pdf of 30 pages": "The heron nested on the tower.",
    "png, without a vision model": "Invoice total 4821 euros",
    "wav, offline": "two three four five",
    "mp3, offline": "two three four five",
}


async def test_every_format_is_read() -> None:
    rows = await file_attacks.run_formats()
    assert {tool for tool, _, _ in rows} == {"file_reader", "image2text", "audio2text"}
    assert {tried for _, tried, _ in rows} >= CAME_BACK.keys()
    for tool, tried, came in rows:
        assert CAME_BACK.get(tried, "The profit was 42 million euros.") in came, f"{tool}, {tried}: {came}"
