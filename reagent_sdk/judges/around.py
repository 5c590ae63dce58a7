"""A judge around another one, whose verdicts it gives under other conditions."""

from __future__ import annotations

from typing import Any

from reagent_sdk.judges.base import Judge


class AroundJudge:
    """Has the name, the gate and all else that the inner judge has; a subclass says how it is asked (`judge`).

    Args:
        judge: the inner one; closed together with this.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def __getattr__(self, name: str) -> Any:
        """Whatever else a judge ships: its revision rule, its caveat, its voices."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._judge, name)

    @property
    def name(self) -> str:
        """The judge's name."""
        return self._judge.name

    @property
    def gate(self) -> float | None:
        """The judge's own accept threshold."""
        return self._judge.gate

    async def aclose(self) -> None:
        """Closes the judge."""
        await self._judge.aclose()
