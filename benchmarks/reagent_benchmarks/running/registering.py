"""Names of this package in inspect_ai's registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reagent_adapters.versions import require

require("inspect-ai", "benchmarks")

from inspect_ai.util import registry_info  # noqa: E402

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = "reagent_benchmarks"


def registered(register: Callable[[str], Callable[[F], F]], name: str) -> Callable[[F], F]:
    """Registers under `reagent_benchmarks/`, also from an editable install, which inspect_ai takes for loose files.

    Args:
        register: makes the decorator for a name.
        name: without the package.
    """

    def decorate(function: F) -> F:
        made = register(name)(function)
        return made if "/" in registry_info(made).name else register(f"{PACKAGE}/{name}")(function)

    return decorate
