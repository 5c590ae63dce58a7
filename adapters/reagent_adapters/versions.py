"""Which versions of a framework an adapter works with."""

from __future__ import annotations

import functools
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from reagent_sdk.errors import MissingExtra, ReagentError

SUPPORTED = {
    "dspy": ">=3.0,<4",
    "inspect-ai": ">=0.3.215,<0.4",
    "langchain": ">=1.0,<2",
    "langchain-core": ">=1.0,<2",
    "langgraph": ">=1.0,<2",
    "llama-index-core": ">=0.14.12,<0.15",
    "mcp": ">=2.1,<3",
    "openai-agents": ">=0.8,<1",
    "pydantic-ai-slim": ">=2.0,<3",
    "smolagents": ">=1.20,<2",
    "trl": ">=1.6,<2",
}
"""The range of each framework; the tests run at both ends of it."""


class UnsupportedVersion(ReagentError):
    """A framework is installed in a version that its adapter does not work with. The message names the range."""


@functools.cache
def require(package: str, extra: str) -> None:
    """Checks, before an adapter imports its framework, that the framework is there in a version that it works with.

    Args:
        package: the framework's distribution, a key of `SUPPORTED`.
        extra: the extra of `reagent-sdk` that installs it.

    Raises:
        MissingExtra: it is not installed.
        UnsupportedVersion: the installed version is outside of the range.
    """
    try:
        installed = version(package)
    except PackageNotFoundError:
        raise MissingExtra(f"the {package} adapter", extra) from None
    supported = SUPPORTED[package]
    if not SpecifierSet(supported, prereleases=True).contains(Version(installed)):
        raise UnsupportedVersion(
            f"{package} {installed} is installed, and this adapter works with {package}{supported}: "
            f"pip install '{package}{supported}'"
        )
