"""Whether the upstream and the judge can be reached, looked up in the background and not when somebody asks."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from reagent_adapters.proxy.patience import PatientJudge
    from reagent_adapters.proxy.upstream import Upstream
    from reagent_sdk.serving.log import EventLog

_ADDRESS = re.compile(r"https?://[^|,;*\s#()]+")
_PROBE = aiohttp.ClientTimeout(total=5)


class Watch:
    """Looks at the upstream and the judge again and again.

    Args:
        upstream: what drafts.
        judge: what judges.
        spec: how the judge was named; the servers in it are looked at.
        session: connections for that.
        log: where it is told when one comes or goes.
        interval: seconds between two looks.

    Attributes:
        upstream_state: "unknown" before the first look, then "up" or "down".
        judge_state: "up" or "down"; a judge that runs in this process is up until it keeps failing.
    """

    def __init__(
        self,
        upstream: Upstream,
        judge: PatientJudge,
        spec: str,
        session: aiohttp.ClientSession,
        log: EventLog,
        *,
        interval: float = 5.0,
    ) -> None:
        self._upstream = upstream
        self._judge = judge
        self._servers = [address.rstrip("/") for address in _ADDRESS.findall(spec)]
        self._session = session
        self._log = log
        self._interval = interval
        self._up = asyncio.Event()
        self.upstream_state = "unknown"

    @property
    def judge_state(self) -> str:
        """Whether the judge can be reached."""
        return "down" if self._judge.resting else "up"

    async def ready(self) -> None:
        """Waits until the upstream was reached."""
        await self._up.wait()

    async def run(self) -> None:
        """Looks until cancelled."""
        told: tuple[str, str] | None = None
        while True:
            why, answers = await self._upstream.reachable(), [await self._answers(one) for one in self._servers]
            self._tell_judge(down=bool(answers) and not any(answers))  # one of several may stand in for the others
            self.upstream_state = "down" if why else "up"
            if not why:
                self._up.set()
            state = (self.upstream_state, self.judge_state)
            if state != told:
                told = state
                self._log.write("reachable", upstream=state[0], judge=state[1], why=why or None)
            await asyncio.sleep(self._interval)

    def _tell_judge(self, *, down: bool) -> None:
        if self._judge.known_down and not down:
            self._judge.found_up()
        self._judge.known_down = down

    async def _answers(self, address: str) -> bool:
        try:
            async with self._session.get(f"{address}/models", timeout=_PROBE, allow_redirects=False) as reply:
                return reply.status < 500
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False
