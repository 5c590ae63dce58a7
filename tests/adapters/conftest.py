"""Collects which tests prove which feature of which adapter, and prints the table for `make adapters`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .features import Table, marked

_TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("adapters")
    group.addoption("--features", action="store_true", help="print the table of adapters and features at the end")
    group.addoption("--features-out", type=Path, metavar="FILE", help="write the outcomes to FILE as well")
    group.addoption("--features-from", type=Path, action="append", default=[], metavar="FILE", help="add these")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "feature(adapter, *features): what the test proves of an adapter")
    config.stash[_TABLE] = Table()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        config.stash[_TABLE].excuse(getattr(getattr(item, "module", None), "NOT_APPLICABLE", {}))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" or report.outcome != "passed":
        for cell in marked(mark.args for mark in item.iter_markers("feature")):
            item.config.stash[_TABLE].note(cell, report.outcome)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    table = config.stash[_TABLE]
    if out := config.getoption("features_out", None):
        table.write(out)
    if config.getoption("features", False):
        terminalreporter.section("adapters and features")
        terminalreporter.write_line(table.markdown())
        for adapter, feature in table.gaps():
            terminalreporter.write_line(f"no test looked at {adapter}, {feature}")
        if not _documented(table):
            terminalreporter.write_line("docs/adapters.md shows another table; put this one there")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A gap in the table, or a page that shows another one, fails `--features` when all tests were run."""
    if not session.config.getoption("features", False):
        return
    table = session.config.stash[_TABLE]
    for path in session.config.getoption("features_from"):
        table.merge(path)
    if exitstatus == pytest.ExitCode.OK and (table.gaps() or not _documented(table)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _documented(table: Table) -> bool:
    return table.markdown() in (Path(__file__).parents[2] / "docs" / "adapters.md").read_text("utf-8")
