from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from reagent_sdk import StopReason, VerdictStatus

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.real_model
@pytest.mark.usefixtures("smollm")
def test_the_readmes_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    document = Document.parse(str(ROOT / "README.md"), PythonCodeBlockParser())
    examples = list(document.examples())
    assert len(examples) >= 3
    for example in examples:
        example.evaluate()
    printed = capsys.readouterr().out
    assert "12 eggs cost 3 euros\n" in printed
    assert "Returned attempt 2 of 2 (scores: 0.30, 0.90)" in printed
    assert "\n3 euros\n" in printed
    assert "answer: You wrote" in printed
    assert (tmp_path / "runs.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_the_examples_of_the_tools_page_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for example in Document.parse(str(ROOT / "docs" / "tools.md"), PythonCodeBlockParser()).examples():
        example.evaluate()


def test_the_example_of_the_gate_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = Document.parse(str(ROOT / "docs" / "gate.md"), PythonCodeBlockParser()).examples()
    example.evaluate()
    gate, refusal, rule = capsys.readouterr().out.splitlines()
    assert (gate, rule) == ("0.25 0.055", "None 22 4")
    assert refusal.endswith("30 labels are too few; about 92 would do if the shares seen in them are the true ones")


def test_the_example_of_the_adapters_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = Document.parse(str(ROOT / "docs" / "adapters.md"), PythonCodeBlockParser()).examples()
    example.evaluate()
    assert capsys.readouterr().out == "It weighs 7 kg.\n"


def test_the_example_of_the_telemetry_page_shows_the_spans(tmp_path: Path) -> None:
    """In a process of its own: a tracer provider can be set only once."""
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "telemetry.md").read_text("utf-8"), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("3 euros\n")
    assert re.findall(r'"name": "(critique_run|invoke_agent|evaluate [^"]+)"', done.stdout)[-1] == "critique_run"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_status_and_stop_reason_is_documented() -> None:
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    documented = [*StopReason, *(status for status in VerdictStatus if status is not VerdictStatus.SCORED)]
    assert [name.value for name in documented if f"`{name.value}`" not in page] == []
